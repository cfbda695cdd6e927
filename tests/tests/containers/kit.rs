//! The conformance kit with plugins in three languages.

use std::{path::PathBuf, process::Command};

use rpcplugin_tests::support::programs;
use tempfile::TempDir;

use super::*;

/// Runs the kit's checks of a plugin in a container, and returns the names of those that passed.
fn check(image: &str, mounts: &[PathBuf], flags: &[&str], plugin: &[String]) -> Vec<String> {
    let sockets = TempDir::new_in("/tmp").unwrap();
    let mut host = Command::new(env!("CARGO_BIN_EXE_kit-host"));
    host.args(["check", "--no-others", "--skip", NEED_A_PROCESS, "--container", image]).args(flags);
    for mount in mounts {
        host.arg("--mount").arg(mount);
    }
    host.arg("--").args(plugin);
    host.env("DOCKER_HOST", podman::engine()).env("TMPDIR", sockets.path());
    let output = host.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{image} {flags:?}:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    let left: Vec<_> = fs::read_dir(sockets.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{image} {flags:?}: {left:?}");
    let left = podman::labelled(&sockets.path().display().to_string());
    assert!(left.is_empty(), "{image} {flags:?}: {left:?}");
    text.lines().filter_map(|line| line.strip_prefix("PASS ")).map(str::to_owned).collect()
}

#[track_caller]
fn assert_passed(passed: &[String], wanted: &[&str]) {
    for name in wanted {
        assert!(passed.iter().any(|passed| passed == name), "{name} did not pass: {passed:?}");
    }
}

/// Checks that signal the plugin's process, or look at its pid or its file. The tests beside this one have these cases.
const NEED_A_PROCESS: &str = "second-launch,abandoned-launch-kills,ping-suspended,supervised-restarts,supervised-gives-up,\
     checksum-right,checksum-wrong";

/// Among all others: calls, streams, the broker in both directions, callbacks, crashes, ends, restarts.
const WANTED: &[&str] = &[
    "ping",
    "put-get",
    "bidi",
    "callback",
    "open-sub",
    "security",
    "exit",
    "panic",
    "stop-socket-gone",
    "launch-8-at-once",
];

const GO: &str = "localhost/rpcplugin-tests/kit-go:1";

/// Of each language, one combination runs always.
const ALWAYS: &[&str] = &["--auto-mtls", "--mux"];

/// The others, which `cargo xtask containers --full` runs.
const OTHERS: [&[&str]; 3] = [&[], &["--auto-mtls"], &["--mux"]];

#[track_caller]
fn passes(image: &str, flags: &[&str]) {
    assert_passed(&check(image, &[], flags, &["/kit-plugin".to_owned()]), WANTED);
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers"]
fn a_plugin_in_rust_passes_the_kit() {
    passes(RUST, ALWAYS);
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers --full"]
fn every_combination_of_a_plugin_in_rust_passes_the_kit() {
    OTHERS.iter().for_each(|flags| passes(RUST, flags));
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers"]
fn a_plugin_in_go_passes_the_kit() {
    if programs::peer("go", "kit-plugin").is_some() {
        passes(GO, ALWAYS);
    }
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers --full"]
fn every_combination_of_a_plugin_in_go_passes_the_kit() {
    if programs::peer("go", "kit-plugin").is_some() {
        OTHERS.iter().for_each(|flags| passes(GO, flags));
    }
}

/// pyvider serves no broker.
fn python_passes(flags: &[&str]) {
    let Some([python, script]) = programs::python("kit_plugin.py") else { return };
    let base = Command::new(&python).args(["-c", "import sys; print(sys.base_prefix)"]).output().unwrap();
    let base = PathBuf::from(String::from_utf8(base.stdout).unwrap().trim());
    let environment = python.ancestors().nth(2).unwrap().canonicalize().unwrap();
    let python = environment.join("bin/python");
    let script = script.canonicalize().unwrap();
    let sources = script.parent().unwrap().to_owned();
    let mut mounts = vec![PathBuf::from("/usr"), environment, sources];
    if !base.starts_with("/usr") {
        mounts.push(base);
    }
    let plugin = [python, script].map(|path| path.display().to_string());
    let passed = check("localhost/rpcplugin-tests/machine:1", &mounts, flags, &plugin);
    assert_passed(&passed, &["put-get", "bidi", "security", "exit"]);
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers"]
fn a_plugin_in_python_passes_the_kit() {
    python_passes(&["--auto-mtls"]);
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers --full"]
fn every_combination_of_a_plugin_in_python_passes_the_kit() {
    python_passes(&[]);
}
