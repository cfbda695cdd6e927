//! `new`: the created project builds and passes its tests, and its programs do what its README shows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "checks/program.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod program;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::program::{rpcplugin, target};

#[test]
fn a_new_project_builds_passes_its_tests_and_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    // The same path in each run, so that only changes are compiled and the target directory does not grow.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    let _ = fs::remove_dir_all(&dir);
    let project = dir.join("my-weather");
    // Without a flag the project uses the checkout that the program was built from.
    let run = rpcplugin(["new".as_ref(), project.as_os_str()]).ended_with(0);
    run.prints(&["plugin/src/main.rs", "depends on the checkout ", "cargo test"]);

    // The versions and the profile of this workspace, so that its artifacts are reused.
    fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let profile =
        &manifest[manifest.find("[profile.dev]").unwrap()..manifest.find("[profile.release]").unwrap()];
    let config = dir.join("profile.toml");
    fs::write(&config, profile).unwrap();
    let stdout = cargo(&project, &config, "test");
    for test in [
        "greets_by_name",
        "reports_each_greeting",
        "the_host_receives_the_progress",
        "the_plugin_greets_and_exits_cleanly",
        "the_plugin_does_not_serve_without_its_cookie",
    ] {
        assert!(stdout.contains(&format!("{test} ... ok")), "{stdout}");
    }
    cargo(&project, &config, "build");
    greets_and_shows_the_log();
    #[cfg(unix)]
    ends_cleanly_on_ctrl_c();
}

/// Runs Cargo in the project. It must succeed without a warning. Returns what it prints on stdout.
#[track_caller]
fn cargo(project: &Path, config: &Path, command: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    // The variables that Cargo sets for this test would make another Cargo run some build scripts again.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME" {
            cargo.env_remove(name);
        }
    }
    let output = cargo
        .args([command, "--offline", "--config"])
        .arg(config)
        .current_dir(project)
        .env("CARGO_TARGET_DIR", target())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
    stdout.into_owned()
}

/// The host of the project, with its plugin as the first argument.
fn host() -> Command {
    let program = |name: &str| target().join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let mut host = Command::new(program("my-weather-host"));
    host.arg(program("my-weather-plugin")).env_remove("RUST_LOG").stdin(Stdio::null());
    host
}

#[track_caller]
fn greets_and_shows_the_log() {
    let output = host().args(["Ada", "Grace"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        stdout.lines().collect::<Vec<_>>(),
        ["Hello, World!", "1 of 2: Hello, Ada!", "2 of 2: Hello, Grace!", "the plugin ended cleanly"],
        "{stderr}"
    );
    for event in ["INFO my-weather-plugin: greeted guest=\"World\"", "INFO my-weather-plugin: greeted all"] {
        assert!(stderr.contains(event), "{stderr}");
    }
}

#[cfg(unix)]
#[track_caller]
fn ends_cleanly_on_ctrl_c() {
    use std::io::{BufRead as _, BufReader, Read as _};

    use rustix::process::{Pid, Signal, kill_process};

    let names = (0..1000).map(|number| format!("guest {number}"));
    let mut host = host().args(names).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.find(|line| line.starts_with("1 of 1000: "));
    assert_eq!(first.as_deref(), Some("1 of 1000: Hello, guest 0!"));
    kill_process(Pid::from_child(&host), Signal::INT).unwrap();
    assert_eq!(lines.last().as_deref(), Some("the plugin ended cleanly"));
    let mut stderr = String::new();
    host.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(!host.wait().unwrap().success(), "{stderr}");
    for text in ["WARN my-weather-plugin: the call is cancelled", "interrupted"] {
        assert!(stderr.contains(text), "{text:?} is not in\n{stderr}");
    }
}

#[test]
fn a_project_in_an_empty_directory_begins_a_repository_and_keeps_hidden_files() {
    let (_guard, project) = empty_directory();
    fs::write(project.join(".gitignore"), "*.swp").unwrap();
    let run = rpcplugin(["new".as_ref(), project.as_os_str()]).ended_with(0);
    run.prints(&["Created ", "A git repository has begun."]);
    assert_eq!(fs::read_to_string(project.join(".gitignore")).unwrap(), "*.swp\n/target\n");
    assert!(project.join(".git/HEAD").is_file());
    assert!(project.join("protocol/proto/my_weather.proto").is_file());
}

#[test]
fn no_repository_begins_within_another_and_without_git() {
    let (_guard, outer) = empty_directory();
    fs::create_dir(outer.join(".git")).unwrap();
    let inner = outer.join("inner");
    let run = rpcplugin(["new".as_ref(), "--json".as_ref(), inner.as_os_str()]).ended_with(0);
    assert_eq!(run.json()["repository"], false);
    assert!(inner.join(".gitignore").is_file() && !inner.join(".git").exists());

    let (_guard, without) = empty_directory();
    rpcplugin(["new".as_ref(), "--vcs=none".as_ref(), without.as_os_str()]).ended_with(0);
    assert!(without.join("Cargo.toml").is_file());
    assert!(!without.join(".git").exists() && !without.join(".gitignore").exists());
}

#[test]
fn existing_files_are_not_overwritten() {
    let (_guard, project) = empty_directory();
    fs::write(project.join("mine"), "").unwrap();
    rpcplugin(["new".as_ref(), project.as_os_str()])
        .ended_with(2)
        .prints(&["has files already, among them mine"]);
    assert!(!project.join("Cargo.toml").exists());
    let file = project.join("mine");
    rpcplugin(["new".as_ref(), file.as_os_str()]).ended_with(2).prints(&["is not a directory"]);
}

#[test]
fn invalid_names_and_checkouts_are_refused() {
    rpcplugin(["new", "Not A Name"]).ended_with(2).prints(&["lower-case letters", "--name"]);
    rpcplugin(["new", "--path-to-rpcplugin", "/nowhere", "x"]).ended_with(2).prints(&["crates/rpcplugin"]);
    assert!(!Path::new("x").exists());
}

/// Makes an empty directory with a valid name, outside of any repository.
fn empty_directory() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    let project = dir.path().join("my-weather");
    fs::create_dir(&project).unwrap();
    (dir, project)
}
