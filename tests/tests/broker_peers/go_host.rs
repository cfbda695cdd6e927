//! The host of go-plugin with this plugin: the checks of that host.

use std::{path::Path, process::Stdio};

use tokio::process::Command;

use rpcplugin_tests::support::programs::peer;

use crate::subject::{MODES, Mode, Peer};

#[tokio::test]
async fn a_go_host_has_brokered_connections_with_this_plugin() {
    let Some(host) = peer("go", "kit-host") else { return };
    let plugin = Peer::Rust.program().unwrap();
    let checks = MODES.map(async |mode| check(&host, &plugin, mode).await);
    futures_util::future::join_all(checks).await;
}

/// The checks that must pass: in every mode, only without multiplexing, and only with.
const ALWAYS: &[&str] = &[
    "callback",
    "callback-nested",
    "callback-3mib",
    "open-sub",
    "subs-30-in-turn",
    "dial-unserved-id",
    "stop-with-brokered-open",
];
const DIRECT: &[&str] = &["subs-16-at-once", "callbacks-16-at-once"];
const MULTIPLEXED: &[&str] = &["redial"];

async fn check(host: &Path, plugin: &Path, mode: Mode) {
    let names = [ALWAYS, DIRECT, MULTIPLEXED].concat().join(",");
    let mut command = Command::new(host);
    command.args(["check", "--broker", "--only", &names]);
    command.args(mode.mutual.then_some("--auto-mtls")).args(mode.multiplexed.then_some("--mux"));
    let output = command.arg("--").arg(plugin).stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let all = format!("{mode:?}:\n{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}");
    let passed = |name: &&str| said.lines().any(|line| line.starts_with(&format!("PASS {name} ")));
    let wanted = [ALWAYS, if mode.multiplexed { MULTIPLEXED } else { DIRECT }].concat();
    let missing: Vec<_> = wanted.into_iter().filter(|name| !passed(name)).collect();
    assert!(missing.is_empty(), "{missing:?} did not pass; {all}");
}
