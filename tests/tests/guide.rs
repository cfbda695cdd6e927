//! The programs of the guide: hosts and plugins of three languages that greet through each other.
//!
//! Their blocks in `docs/guide` are excerpts of these programs, and the sessions there are what these tests do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/examples.rs"]
mod examples;
#[path = "support/pages.rs"]
mod pages;
#[path = "support/hosts.rs"]
mod support;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use examples::example;
use pages::shown;
use support::peer;

#[test]
fn a_rust_host_and_a_rust_plugin() {
    example("greeter-plugin");
    says(&mut Command::new(example("greeter-host")), "Hello, Ada!\nthe plugin ended cleanly\n");
}

#[test]
fn a_go_host_and_a_rust_plugin() {
    let Some(host) = peer("go", "go/greeter-host") else { return };
    says(Command::new(host).arg(example("greeter-plugin")), "Hello, Ada!\n");
    shown(
        "go-host.md",
        "$ target/interop/go/greeter-host target/debug/examples/greeter-plugin\nHello, Ada!\n",
    );
}

#[test]
fn a_rust_host_and_a_go_plugin() {
    let Some(plugin) = peer("go", "go/greeter-plugin") else { return };
    let greeted = "Hello from Go, Ada!\nthe plugin ended cleanly\n";
    says(Command::new(example("greeter-host")).arg(plugin), greeted);
    let line = "$ cargo run --example greeter-host target/interop/go/greeter-plugin\n";
    shown("go-plugin.md", &format!("{line}{greeted}"));
}

#[test]
fn a_python_host_and_a_rust_plugin() {
    let Some(python) = peer("python", "python/bin/python") else { return };
    let host = python_program("greeter_host.py");
    says(Command::new(python).arg(host).arg(example("greeter-plugin")), "Hello, Ada!\n");
    let line = "$ target/interop/python/bin/python tests/interop/python/greeter_host.py target/debug/examples/greeter-plugin\n";
    shown("python-host.md", &format!("{line}Hello, Ada!\n"));
}

#[test]
fn a_rust_host_and_a_python_plugin() {
    let Some(python) = peer("python", "python/bin/python") else { return };
    let plugin = python_program("greeter_plugin.py");
    let greeted = "Hello from Python, Ada!\nthe plugin ended cleanly\n";
    says(Command::new(example("greeter-host")).arg(python).arg(plugin), greeted);
    let line = "$ cargo run --example greeter-host target/interop/python/bin/python tests/interop/python/greeter_plugin.py\n";
    shown("go-plugin.md", &format!("{line}{greeted}"));
}

fn python_program(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/python").join(name)
}

/// Runs a host to its end, which has to be a success, and compares what it prints.
#[track_caller]
fn says(host: &mut Command, expected: &str) {
    let output = host.stdin(Stdio::null()).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{log}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{log}");
}
