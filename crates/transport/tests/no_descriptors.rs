//! Sockets and their directories in a process that can open few files, or no file.
//!
//! The test is alone in its process, because it lowers the limit of the process.
#![cfg(unix)]

use std::{fs, os::fd::AsRawFd as _};

use rpcplugin_transport::{Listener, SocketDir};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn nothing_stays_that_a_shortage_of_descriptors_leaves() {
    a_directory_that_cannot_be_listed_is_removed_later();
    a_socket_whose_file_cannot_be_opened_leaves_no_file();
}

/// The limit at which this many more files can be opened. Descriptors above the next one may be open.
fn limit_for(more: usize) -> u64 {
    let next = fs::File::open("/dev/null").expect("there").as_raw_fd();
    let open: Vec<i32> = fs::read_dir("/dev/fd")
        .expect("there")
        .filter_map(|entry| entry.expect("readable").file_name().to_str()?.parse().ok())
        // This is the descriptor of the listing.
        .filter(|number| *number != next)
        .collect();
    let limit = (0..).filter(|number| !open.contains(number)).nth(more).expect("a number");
    u64::try_from(limit).expect("a number")
}

/// The file is opened after the socket is bound.
fn a_socket_whose_file_cannot_be_opened_leaves_no_file() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let parent = tempfile::tempdir_in("/tmp").expect("a directory");
    let dir = SocketDir::private_in(parent.path(), None).expect("a directory");
    let sockets = || {
        let entries = fs::read_dir(dir.path()).expect("there").flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("plugin")).count()
    };
    let before = getrlimit(Resource::Nofile);
    for more in 0..4 {
        let current = Some(limit_for(more));
        setrlimit(Resource::Nofile, Rlimit { current, maximum: before.maximum }).expect("lower");
        let bound = Listener::unix_in(&dir);
        setrlimit(Resource::Nofile, before).expect("as it was");
        assert_eq!(bound.is_ok(), more == 3, "with {more} descriptors");
        assert_eq!(sockets(), usize::from(more == 3), "with {more} descriptors");
    }
}

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
