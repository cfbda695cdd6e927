//! A host that can open no further file. Its launches fail with a typed error, and leave nothing.
//!
//! The test is alone in its process, because it lowers the limit of the process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::{fs, path::Path};

use miette::Diagnostic as _;
use rpcplugin_tests::support::{
    conformance::{client, host, kit},
    process::children,
    wait::eventually,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit at which this many more files can be opened.
fn limit_for(more: usize) -> u64 {
    let open: Vec<u64> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .collect();
    (0..).filter(|number| !open.contains(number)).nth(more).unwrap()
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[tokio::test]
async fn a_launch_without_descriptors_fails_and_leaves_nothing() {
    let sockets = tempfile::tempdir_in("/tmp").unwrap();
    let host = host().configure(|config| config.unix_socket_dir = Some(sockets.path().to_owned()));
    let works = async || {
        let plugin = host.launch(kit()).await.unwrap();
        client(&plugin).echo(rpcplugin_tests::pb::EchoRequest::default()).await.unwrap();
        plugin.shut_down().await;
    };
    works().await;
    let before = getrlimit(Resource::Nofile);
    let mut failed = 0;
    for more in 0..24 {
        let current = Some(limit_for(more));
        setrlimit(Resource::Nofile, Rlimit { current, ..before }).unwrap();
        let launched = host.launch(kit()).await;
        setrlimit(Resource::Nofile, before).unwrap();
        match launched {
            Ok(plugin) => _ = plugin.shut_down().await,
            Err(error) => {
                assert!(error.fault.code().is_some(), "{error:?}");
                failed += 1;
            }
        }
        // What could not be removed without a descriptor is removed by the next launch.
        works().await;
        let gone = || files(sockets.path()) == 0 && children().is_empty();
        eventually(&format!("after a launch with {more} descriptors nothing is left"), gone).await;
    }
    assert!(failed >= 10, "{failed}");
}
