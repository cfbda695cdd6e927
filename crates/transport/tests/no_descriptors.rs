//! A directory that is dropped while the process can open no further file, and so cannot list the files in it.
//!
//! The test is alone in its process, because it lowers the limit of the process.
#![cfg(unix)]

use std::fs;

use rpcplugin_transport::SocketDir;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn a_directory_that_cannot_be_listed_is_removed_later() {
    let parent = tempfile::tempdir_in("/tmp").expect("a directory");
    let dir = || SocketDir::private_in(parent.path(), None).expect("a directory");
    let full = dir();
    fs::write(full.path().join("socket"), "").expect("writable");
    let path = full.path().to_owned();
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum: before.maximum }).expect("lower");
    drop(full);
    let is_left = path.exists();
    setrlimit(Resource::Nofile, before).expect("as it was");
    assert!(is_left, "the test has no effect");
    drop(dir());
    assert!(!path.exists(), "it is removed with the next one");
    assert_eq!(fs::read_dir(parent.path()).expect("there").count(), 0);
}
