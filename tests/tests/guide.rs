//! The programs of the guide: hosts and plugins in three languages.
//!
//! The code blocks in `docs/guide` are excerpts of these programs, and the sessions are those of these tests.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use rpcplugin_tests::support::{
    pages::shown,
    programs::{example, peer, python},
};

#[test]
fn a_rust_host_and_a_rust_plugin() {
    example("greeter-plugin");
    prints(&mut Command::new(example("greeter-host")), "Hello, Ada!\nthe plugin ended cleanly\n");
}

#[test]
fn a_go_host_and_a_rust_plugin() {
    let Some(host) = peer("go", "greeter-host") else { return };
    prints(Command::new(host).arg(example("greeter-plugin")), "Hello, Ada!\n");
    shown(
        "go-host.md",
        "$ target/interop/go/greeter-host target/debug/examples/greeter-plugin\nHello, Ada!\n",
    );
}

#[test]
fn a_rust_host_and_a_go_plugin() {
    let Some(plugin) = peer("go", "greeter-plugin") else { return };
    let greeted = "Hello from Go, Ada!\nthe plugin ended cleanly\n";
    prints(Command::new(example("greeter-host")).arg(plugin), greeted);
    let line = "$ cargo run --example greeter-host target/interop/go/greeter-plugin\n";
    shown("go-plugin.md", &format!("{line}{greeted}"));
}

#[test]
fn a_python_host_and_a_rust_plugin() {
    let Some([python, host]) = python("greeter_host.py") else { return };
    prints(Command::new(python).arg(host).arg(example("greeter-plugin")), "Hello, Ada!\n");
    let line = "$ target/interop/python/bin/python tests/interop/python/greeter_host.py target/debug/examples/greeter-plugin\n";
    shown("python-host.md", &format!("{line}Hello, Ada!\n"));
}

#[test]
fn a_rust_host_and_a_python_plugin() {
    let Some([python, plugin]) = python("greeter_plugin.py") else { return };
    let greeted = "Hello from Python, Ada!\nthe plugin ended cleanly\n";
    prints(Command::new(example("greeter-host")).arg(python).arg(plugin), greeted);
    let line = "$ cargo run --example greeter-host target/interop/python/bin/python tests/interop/python/greeter_plugin.py\n";
    shown("go-plugin.md", &format!("{line}{greeted}"));
}

/// Runs a host to its end. The host must succeed, and print this.
#[track_caller]
fn prints(host: &mut Command, expected: &str) {
    let output = host.stdin(Stdio::null()).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{log}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{log}");
}
