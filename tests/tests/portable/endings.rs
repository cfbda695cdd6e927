//! Plugins that have to end: with their host, by a kill, or because a handle of them is dropped.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use rpcplugin::Exit;
use rpcplugin_tests::{
    contract,
    pb::{ExitRequest, InfoRequest},
    support::{conformance::client, programs::program},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::timeout,
};
use tonic::Code;

use crate::support::{TIMEOUT, Watch, command, host, hostile, kit_plugin};

#[tokio::test]
async fn a_killed_host_leaves_neither_its_plugin_nor_what_the_plugin_started() {
    for settings in [&[("PLUGIN_AUTO_MTLS", "false")][..], &[], &[("PLUGIN_MULTIPLEX_GRPC", "true")]] {
        let watch = Watch::new().await;
        let cookie = contract::cookie();
        let mut mortal = Command::new(program("mortal-host"));
        mortal
            .arg(program("hostile-plugin"))
            .env("HOSTILE", format!("holds:{}", watch.address))
            .env("MORTAL_HOST_COOKIE", format!("{}={}", cookie.key(), cookie.value()))
            .env("PLUGIN_ORPHAN_GRACE", "1s")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut mortal = tokio::process::Command::from(mortal).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(mortal.stdout.take().unwrap()).lines();
        let line = timeout(TIMEOUT, lines.next_line()).await.expect("a launch").unwrap().unwrap_or_default();
        assert!(line.parse::<u32>().is_ok(), "{line}");
        let (first, second) = (watch.process().await, watch.process().await);
        assert!(first.is_alive() && second.is_alive(), "{settings:?}");
        mortal.kill().await.unwrap();
        first.ends("the plugin or its child").await;
        second.ends("the plugin or its child").await;
    }
}

#[tokio::test]
async fn a_plugin_that_ignores_the_shutdown_is_killed_after_the_grace() {
    let plugin = host().launch(hostile("stays-forever")).await.unwrap();
    let grace = Duration::from_secs(1);
    match plugin.shut_down_within(grace).await {
        Exit::Killed { after, .. } => assert!(after >= grace, "{after:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_dropped_plugin_ends_with_all_that_it_started() {
    let watch = Watch::new().await;
    let plugin = host().launch(hostile(&format!("holds:{}", watch.address))).await.unwrap();
    let (first, second) = (watch.process().await, watch.process().await);
    assert!(first.is_alive() && second.is_alive());
    drop(plugin);
    first.ends("the plugin or its child").await;
    second.ends("the plugin or its child").await;
}

#[tokio::test]
async fn the_exit_of_a_plugin_is_the_error_of_its_calls() {
    let plugin = host().launch(command(kit_plugin())).await.unwrap();
    let mut kit = client(&plugin);
    let cut = kit.exit(ExitRequest { code: 7 }).await.expect_err("the process ends in the call");
    assert_eq!(cut.code(), Code::Unavailable, "{cut}");
    let reason = timeout(TIMEOUT, plugin.wait()).await.expect("the exit is noticed");
    assert_eq!(reason.to_string(), "exit status 7");
    let after = kit.info(InfoRequest {}).await.expect_err("the process has ended");
    assert!(after.message().contains("exit status 7"), "{after}");
    assert_eq!(plugin.shut_down().await, Exit::Failed(reason));
}
