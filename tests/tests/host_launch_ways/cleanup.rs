//! What a launch leaves behind.

use std::{fs, io::Write as _, time::Duration};

use rpcplugin_tests::support::{
    faulty::{faulty, host},
    process_tree::ProcessTree,
    scripts::script,
    wait::eventually_within,
};

use crate::support::TIMEOUT;

#[tokio::test]
async fn a_dropped_launch_leaves_nothing() {
    let tree = ProcessTree::new();
    let launching = host(|_| {});
    let launch = launching.launch(tree.mark(script("sleep 1000 & sleep 1000")));
    tokio::time::timeout(Duration::from_millis(300), launch).await.expect_err("the plugin prints nothing");
    tree.dies_out().await;
}

#[tokio::test]
async fn sockets_are_removed_when_the_plugin_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let here = host(|config| config.unix_socket_dir = Some(dir.path().to_owned()));
    let plugin = here.launch(faulty("healthy")).await.expect("the plugin starts");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    drop(plugin);
    eventually_within(TIMEOUT, "nothing is left", || {
        fs::read_dir(dir.path()).expect("readable").count() == 0
    })
    .await;
    std::io::stdout().flush().expect("open");
}
