//! Arguments and environment variables.

use std::process::Command;

use crate::program::{basic_plugin, rpcplugin};

const COOKIE: [&str; 2] = ["--cookie", "BASIC_PLUGIN=hello"];

#[test]
fn durations_have_limits() {
    for args in [
        &["call", "Info", "--deadline", "100000000h", "p"][..],
        &["call", "Info", "--deadline", "0s", "p"],
        &["conformance", "--deadline", "100000000h", "p"],
        &["bench", "--time", "100000000h", "p"],
        &["inspect", "--timeout", "100000000h", "p"],
        &["attach", "unix:/nowhere", "--timeout", "100000000h"],
        &["attach", "unix:/nowhere", "call", "Info", "--deadline", "100000000h"],
    ] {
        rpcplugin(args).ended_with(2).prints(&["between 1ms and 24h"]);
    }
}

#[test]
fn an_empty_variable_is_not_set() {
    let run = |variable: &str, value: &str, args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
            .args(args)
            .env_remove("RPCPLUGIN_COOKIE")
            .env(variable, value)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let plugin = basic_plugin();
    let inspect = ["inspect", plugin.to_str().unwrap()];
    let (code, stderr) = run("RPCPLUGIN_COOKIE", "", &inspect);
    assert!(code == Some(3) && stderr.contains("rpcplugin::config::cookie_not_given"), "{stderr}");
    let given = ["inspect", COOKIE[0], COOKIE[1], inspect[1]];
    assert_eq!(run("RPCPLUGIN_COOKIE", "", &given).0, Some(0));
    assert_eq!(run("RPCPLUGIN_COOKIE", "BASIC_PLUGIN=hello", &inspect).0, Some(0));
    for variable in ["RPCPLUGIN_REATTACH", "TF_REATTACH_PROVIDERS"] {
        let (code, stderr) = run(variable, "", &["attach"]);
        assert!(
            code == Some(2) && stderr.contains("the plugin to attach to is missing"),
            "{variable}: {stderr}"
        );
        let (code, stderr) = run(variable, "/nowhere/at/all", &["attach"]);
        assert!(code == Some(2) && stderr.contains("cannot be read"), "{variable}: {stderr}");
    }
}
