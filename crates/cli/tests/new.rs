//! `new`: the created project builds and passes its tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "checks/program.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod program;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::program::{rpcplugin, target};

#[test]
fn a_new_project_builds_and_passes_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    // The same path in each run, so that only changes are compiled and the target directory does not grow.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    let _ = std::fs::remove_dir_all(&dir);
    let project = dir.join("my-weather");
    let run =
        rpcplugin(["new".as_ref(), "--path-to-rpcplugin".as_ref(), root.as_os_str(), project.as_os_str()]);
    run.ended_with(0).prints(&["plugin/src/main.rs", "cargo test"]);

    // The versions and the profile of this workspace, so that its artifacts are reused.
    std::fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let profile =
        &manifest[manifest.find("[profile.dev]").unwrap()..manifest.find("[profile.release]").unwrap()];
    let config = dir.join("profile.toml");
    std::fs::write(&config, profile).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    // The variables that Cargo sets for this test would make another Cargo run some build scripts again.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME" {
            cargo.env_remove(name);
        }
    }
    let output = cargo
        .args(["test", "--offline", "--config"])
        .arg(&config)
        .current_dir(&project)
        .env("CARGO_TARGET_DIR", target())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
    for test in ["greets_by_name", "the_plugin_greets", "the_plugin_does_not_serve_without_its_cookie"] {
        assert!(stdout.contains(&format!("{test} ... ok")), "{stdout}");
    }
}

#[test]
fn existing_files_are_not_overwritten() {
    let dir = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    let project = dir.path().join("taken");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("mine"), "").unwrap();
    rpcplugin(["new".as_ref(), project.as_os_str()]).ended_with(2).prints(&["already exists"]);
    assert!(!project.join("Cargo.toml").exists());
}

#[test]
fn invalid_names_and_checkouts_are_refused() {
    rpcplugin(["new", "Not A Name"]).ended_with(2).prints(&["lower-case letters"]);
    rpcplugin(["new", "--path-to-rpcplugin", "/nowhere", "x"]).ended_with(2).prints(&["crates/rpcplugin"]);
    assert!(!Path::new("x").exists());
}
