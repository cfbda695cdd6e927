//! The conformance plugins of three languages in a sandbox.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rpcplugin::sandbox::{Sandbox, SystemCalls, UnixSockets};
use rpcplugin_tests::support::programs::{peer, program, python};

/// Checks that a confined plugin of each language passes, so that a check that is skipped is noticed.
const EACH: &[&str] = &[
    "put-get",
    "big-16mib",
    "server-stream",
    "client-stream",
    "bidi",
    "deadline",
    "log-line",
    "exit",
    "killed",
];

/// Checks of plugins that have a broker.
const BROKER: &[&str] = &["callback", "callback-nested", "open-sub"];

#[test]
fn a_confined_plugin_in_rust_passes_the_kit() {
    if !can_confine(&Sandbox::new()) {
        return;
    }
    let plugin = [program("kit-plugin").into_os_string()];
    for mode in [&["--auto-mtls", "--mux"][..], &["--auto-mtls", "--inherit"]] {
        passes(mode, &[], &plugin, &[EACH, BROKER].concat());
    }
}

#[test]
fn a_confined_plugin_in_go_passes_the_kit() {
    let Some(plugin) = peer("go", "kit-plugin") else { return };
    if !can_confine(&Sandbox::new()) {
        return;
    }
    // go-plugin leaves its socket when a signal ends it.
    passes(
        &["--auto-mtls", "--mux"],
        &["--skip".into(), "sigterm".into()],
        &[plugin.into()],
        &[EACH, BROKER].concat(),
    );
}

#[test]
fn a_confined_plugin_of_pyvider_passes_the_kit() {
    let Some([python, script]) = python("kit_plugin.py") else { return };
    if !can_confine(&Sandbox::new().unix_sockets(UnixSockets::Any).allow(SystemCalls::FileMetadata)) {
        return;
    }
    let code = fs::canonicalize(script.parent().expect("a directory")).expect("it exists");
    let mut sandbox: Vec<OsString> = vec!["--sandbox-read".into(), code.into()];
    for path in prefixes_of(&python) {
        sandbox.extend(["--sandbox-execute".into(), path.into_os_string()]);
    }
    // pyvider sets the mode of its socket.
    sandbox.push("--sandbox-file-metadata".into());
    passes(&["--auto-mtls"], &sandbox, &[python.into(), script.into()], EACH);
}

/// Runs the checks of the kit with a confined plugin. None may fail, and these must pass.
#[track_caller]
fn passes(mode: &[&str], args: &[OsString], plugin: &[OsString], expected: &[&str]) {
    let mut command = Command::new(program("kit-host"));
    command.args(["check", "--sandbox", "--no-others"]).args(mode).args(args).arg("--").args(plugin);
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let all = format!("{mode:?}:\n{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}");
    let passed = |check: &&&str| printed.lines().any(|line| line == format!("PASS {check}"));
    let missing: Vec<_> = expected.iter().filter(|check| !passed(check)).collect();
    assert!(missing.is_empty(), "{missing:?} did not pass; {all}");
}

/// The directories of an interpreter and of its virtual environment.
fn prefixes_of(python: &Path) -> Vec<PathBuf> {
    let print = "import sys; print(sys.prefix); print(sys.base_prefix); print(sys.executable)";
    let printed = Command::new(python).args(["-c", print]).output().expect("it starts");
    String::from_utf8(printed.stdout).expect("text").lines().map(PathBuf::from).collect()
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn can_confine(sandbox: &Sandbox) -> bool {
    let confinement = sandbox.check();
    if !confinement.is_full() {
        println!("skipped: {confinement}");
    }
    confinement.is_full()
}
