//! The checks of a conformance host, with this library on one side at least: calls, streams, output, brokered connections,
//! and plugins that end by themselves.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use rpcplugin_tests::support::programs::program;

use crate::support::{kit_plugin, named_peer};

/// How host and plugin are connected.
const MODES: [&[&str]; 4] = [&[], &["--mux"], &["--auto-mtls"], &["--auto-mtls", "--mux"]];

/// The checks that both hosts have, and that plugins in both languages pass in each mode.
const BOTH: &[&str] = &[
    "put-get",
    "missing-key",
    "fail-details",
    "big-16mib",
    "server-stream",
    "client-stream",
    "bidi",
    "deadline",
    "env",
    "stdio",
    "log-line",
    "callback",
    "callback-nested",
    "callback-3mib",
    "open-sub",
    "subs-30-in-turn",
    "exit",
    "panic",
];

/// The checks of the host of this library beside them.
const OURS: &[&str] = &[
    "security",
    "cancel",
    "raw-stderr",
    "raw-stderr-flood",
    "drop-kills",
    "abandoned-launch-kills",
    "stop-without-grace",
    "killed",
    "killed-during-call",
    "killed-during-stream",
    "supervised-restarts",
    "supervised-gives-up",
    "version-none-in-common",
    "wrong-cookie-refused",
    "checksum-wrong",
];

#[test]
fn our_host_and_our_plugin() {
    our_host_with(&kit_plugin());
}

#[test]
fn our_host_and_a_plugin_in_go() {
    if let Some(plugin) = named_peer("RPCPLUGIN_PORTABLE_GO_PLUGIN", "kit-plugin") {
        our_host_with(&plugin);
    }
}

#[test]
fn a_host_in_go_and_our_plugin() {
    let Some(host) = named_peer("RPCPLUGIN_PORTABLE_GO_HOST", "kit-host") else { return };
    for mode in MODES {
        passes(&host, mode, &kit_plugin(), BOTH);
    }
}

fn our_host_with(plugin: &Path) {
    // A plugin in another language, and one on another system, does not take the offer.
    for mode in MODES.into_iter().chain([&["--auto-mtls", "--inherit"][..]]) {
        let mut checks = [BOTH, OURS].concat();
        if mode == ["--auto-mtls"] {
            checks.extend(["plain-text-clients-refused", "unknown-clients-refused"]);
        }
        passes(&program("kit-host"), mode, plugin, &checks);
    }
}

/// Runs checks. Each must pass: a skipped check fails the test.
#[track_caller]
fn passes(host: &Path, mode: &[&str], plugin: &Path, checks: &[&str]) {
    let mut command = Command::new(host);
    command.args(["check", "--broker", "--only", &checks.join(",")]).args(mode).arg("--").arg(plugin);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let all = format!("{mode:?}:\n{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}");
    let passed = |check: &&str| {
        let line = format!("PASS {check}");
        printed.lines().any(|printed| {
            printed.strip_prefix(&line).is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
        })
    };
    let missing: Vec<_> = checks.iter().filter(|check| !passed(check)).collect();
    assert!(missing.is_empty(), "{missing:?} did not pass; {all}");
}
