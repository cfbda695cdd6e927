//! Peers that connect and send nothing.

use std::{fs, time::Duration};

use rpcplugin::Plugin;
use rpcplugin_tests::{
    raw_http2::{self, RawPeer},
    support::wait::eventually_within,
};
use tokio::{io::AsyncReadExt as _, net::UnixStream, time::timeout};

use crate::support::{INFO, TIMEOUT, launch, raw, socket};

/// Another host connects and calls.
async fn another_host_calls(plugin: &Plugin) {
    let calls = async {
        let mut peer = raw(plugin).await;
        peer.call(1, INFO, &[], &[]);
        peer.data(1, &raw_http2::message(&[]), true);
        peer.flush().await.unwrap();
        peer.answer(1).await.unwrap();
    };
    timeout(Duration::from_secs(10), calls).await.expect("the call is answered");
}

#[tokio::test]
async fn silent_connections_keep_no_host_out() {
    let plugin = launch("ulimit -n 64", &[]).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(UnixStream::connect(socket(&plugin)).await.unwrap());
    }
    another_host_calls(&plugin).await;
    crate::support::answers(&plugin).await;
    // The oldest connection was closed.
    let ended = timeout(TIMEOUT, silent[0].read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "it was closed");
}

#[tokio::test]
async fn nor_do_those_that_greet_and_never_call() {
    let plugin = launch("ulimit -n 64", &[]).await;
    let mut greeted = Vec::new();
    for _ in 0..200 {
        // A connection may already be closed, which is fine.
        let peer = UnixStream::connect(socket(&plugin)).await.unwrap();
        greeted.push(RawPeer::client(peer).await);
    }
    another_host_calls(&plugin).await;
    crate::support::answers(&plugin).await;
}

#[tokio::test]
async fn failed_accepts_are_logged_once() {
    let plugin = launch("ulimit -n 64", &[("PLUGIN_LOG_LEVEL", "warn")]).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        let peer = UnixStream::connect(socket(&plugin)).await.unwrap();
        silent.push(RawPeer::client(peer).await);
    }
    another_host_calls(&plugin).await;
    let logged = || plugin.stderr_tail().join("\n").matches("cannot accept connections").count();
    eventually_within(TIMEOUT, "the failure is logged", || logged() > 0).await;
    assert_eq!(logged(), 1);
    let descriptors = fs::read_dir(format!("/proc/{}/fd", plugin.pid().unwrap())).unwrap().count();
    assert!(descriptors <= 64);
}
