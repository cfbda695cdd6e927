//! `--runner docker:IMAGE`, with the container engine and the images of `cargo xtask containers`.

#![cfg(all(unix, feature = "docker"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "`checks` uses the rest")]
#[path = "checks/program.rs"]
mod program;

use std::process::{Command, Output, Stdio};

use self::program::Run;

const RUST: &str = "docker:localhost/rpcplugin-tests/kit-rust:1";
const GO: &str = "docker:localhost/rpcplugin-tests/kit-go:1";

/// Runs a command with the engine of the tests, for the kit's plugin in this image.
fn with(image: &str, command: &[&str], plugin: &[&str]) -> Run {
    with_engine(&engine(), image, command, plugin)
}

#[expect(clippy::disallowed_methods, reason = "the step names the engine")]
fn engine() -> String {
    std::env::var("RPCPLUGIN_TEST_ENGINE").expect("cargo xtask containers sets it")
}

/// Runs it with a temporary directory of its own, which must be empty afterwards.
fn with_engine(engine: &str, image: &str, command: &[&str], plugin: &[&str]) -> Run {
    let tmp = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
        .args(command)
        .args(["--runner", image, "--runner-option", "pull=never", "--preset", "kit"])
        .args(plugin)
        .env("TMPDIR", tmp.path())
        .env("DOCKER_HOST", engine)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let left: Vec<_> = std::fs::read_dir(tmp.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?} is left");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers"]
fn a_sandbox_becomes_the_settings_of_the_container() {
    let confined =
        ["--sandbox", "--allow-read", "/usr/share", "--limit", "memory=256M,processes=64,files=256"];
    for image in [RUST, GO] {
        let facts = with(image, &["--json", "inspect"], &confined).ended_with(0).json();
        assert_eq!(facts["sandbox"]["full"], true, "{facts}");
        assert_eq!(facts["end"]["clean"], true, "{facts}");
    }
    let refused = with(RUST, &["inspect"], &["--sandbox", "--allow-calls", "debugging"]).ended_with(3);
    refused.prints(&["rpcplugin::security::sandbox_unsupported", "the system calls debugging"]);
    with(RUST, &["inspect"], &["--sandbox", "--allow-net", "443"])
        .ended_with(3)
        .prints(&["sandbox_unavailable"]);
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers"]
fn inspect_and_call_start_the_entry_point_of_the_image() {
    let facts = with(RUST, &["--json", "inspect"], &[]).ended_with(0).json();
    assert_eq!(
        (&facts["name"], &facts["security"]["kind"]),
        (&"kit-rust".into(), &"mutual".into()),
        "{facts}"
    );
    assert_eq!(facts["security"]["strangers"], "refused", "{facts}");
    assert_eq!(facts["command"]["program"], RUST);
    assert_eq!(facts["end"]["clean"], true, "{facts}");
    let info = with(GO, &["--json", "call", "Info", "-d", "{}"], &[]).ended_with(0).json();
    assert_eq!(info["pid"], "1", "the plugin is process 1 of its container: {info}");
    // The program and its arguments are those in the image.
    let info = with(RUST, &["--json", "call", "Info", "-d", "{}"], &["/kit-plugin", "--versions", "2"]);
    assert_eq!(info.ended_with(0).json()["protocolVersion"], 2);
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers"]
fn plugins_in_containers_conform() {
    for image in [RUST, GO] {
        let report = with(image, &["conformance", "--jobs", "2"], &[]).ended_with(0);
        report.prints(&[
            "PASS  mtls-serves",
            "PASS  mux-mtls",
            "PASS  shutdown",
            "SKIP  socket-private",
            " 0 failed",
        ]);
    }
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers"]
fn doctor_names_what_is_missing() {
    let doctor = |image: &str, plugin: &[&str]| with(image, &["doctor"], plugin);
    doctor(GO, &[]).ended_with(0).prints(&[
        "ok     runner",
        "ok     start",
        "kit-go starts, and has no fault",
    ]);
    doctor("docker:localhost/no-such-image:1", &[]).ended_with(1).prints(&[
        "wrong  start",
        "has no image",
        "no-such-image does not start",
    ]);
    doctor(GO, &["/no-such-program"]).ended_with(1).prints(&["wrong  start", "/no-such-program"]);
    let runtime = ["--runner-option", "runtime=no-such-runtime"];
    doctor(GO, &runtime).ended_with(1).prints(&["wrong  start", "no-such-runtime"]);
    let nowhere = with_engine("unix:///nowhere/engine.sock", GO, &["doctor"], &[]);
    nowhere.ended_with(1).prints(&[
        "wrong  start",
        "unix:///nowhere/engine.sock",
        "check that the engine runs",
    ]);
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers"]
fn a_launch_that_fails_has_the_code_and_the_help_of_the_runner() {
    let failed = with("docker:localhost/no-such-image:1", &["--json", "inspect"], &[]).ended_with(3).json();
    assert_eq!(failed["error"]["code"], "rpcplugin::docker::image_missing", "{failed}");
    assert!(failed["error"]["help"].as_str().unwrap().contains("load the image"), "{failed}");
}
