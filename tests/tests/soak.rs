//! A soak run of some seconds, so that the program and its checks stay whole. `cargo xtask soak` runs for as long as it is asked to.
#![cfg(target_os = "linux")]

use std::process::Command;

use rpcplugin_tests::support::programs::{conformance_plugin, program};

#[test]
fn some_seconds_with_faults_break_no_promise() {
    let (Some(go), Some(python)) = (conformance_plugin("go"), conformance_plugin("python")) else { return };
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(program("kit-soak"))
        .args(["--seconds", "5", "--seed", "1"])
        .arg("--rust")
        .arg(program("kit-plugin"))
        .arg("--go")
        .args(go)
        .arg("--python")
        .args(python)
        .arg("--mortal-host")
        .arg(program("mortal-host"))
        .arg("--out")
        .arg(out.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", output.status);
    let summary = std::fs::read_to_string(out.path().join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    // A busy machine may make no brokered connection in so short a time.
    for counted in ["calls", "launches"] {
        assert!(summary[counted].as_u64().unwrap() > 0, "{counted}: {summary}");
    }
}
