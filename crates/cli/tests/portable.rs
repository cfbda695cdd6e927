//! The program on every system: no test here needs a shell, signals or Unix sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "checks/program.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod program;

use std::{ffi::OsString, path::Path};

use crate::program::{Run, basic_plugin, rpcplugin};

const COOKIE: [&str; 2] = ["--cookie", "BASIC_PLUGIN=hello"];

#[test]
fn a_plugin_is_inspected() {
    let facts = run(&["inspect", "--json"], &basic_plugin()).ended_with(0).json();
    assert_eq!(facts["health"]["status"], "SERVING", "{facts}");
    assert_eq!(facts["transport"]["network"], if cfg!(windows) { "tcp" } else { "unix" }, "{facts}");
    assert_eq!(facts["security"]["kind"], "mutual", "{facts}");
    assert_eq!(facts["security"]["strangers"], "refused", "{facts}");
    assert_eq!(facts["end"]["clean"], true, "{facts}");
    let executable = facts["process"]["executable"].as_str().unwrap_or_default();
    assert!(Path::new(executable).ends_with(basic_plugin().file_name().unwrap()), "{facts}");
}

#[test]
fn a_working_plugin_has_no_fault() {
    for args in [&["doctor"][..], &["doctor", "--no-mtls"], &["doctor", "--mux"]] {
        let run = run(args, &basic_plugin()).ended_with(0);
        run.prints(&["ok     permission", "ok     health      SERVING", "has no fault"]);
    }
}

#[test]
fn a_plugin_that_does_not_exist_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("no-such-plugin");
    let json = run(&["inspect", "--json"], &missing).ended_with(3).json();
    assert_eq!(json["error"]["code"], "rpcplugin::transport::plugin_not_found", "{json}");
    run(&["doctor"], &missing).ended_with(1).prints(&["no-such-plugin", "does not exist"]);
}

/// The checks of a plugin that do not measure how fast its process ends.
#[test]
fn no_check_fails() {
    let only = "cookie,line,mtls,mux-mtls,plain,health,stdio,broker,version,socket,tcp,sig,host-death";
    let json = run(&["conformance", "--json", "--jobs", "2", "--only", only], &basic_plugin()).json();
    let findings = json["findings"].as_array().unwrap();
    let with = |result: &str| {
        let found = findings.iter().filter(|finding| finding["result"] == result);
        found.map(|finding| finding["name"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(with("fail"), Vec::<&str>::new(), "{json:#}");
    for check in ["cookie-wrong", "line-form", "mtls-refuses-unknown", "mux-mtls", "stdio"] {
        assert!(with("pass").contains(&check), "{check}: {json:#}");
    }
    // What the system does not have is skipped, and neither passes nor fails.
    let unix = ["host-death", "sigint-ignored", "sigterm", "socket-group", "socket-private"];
    assert!(unix.iter().all(|check| with("skip").contains(check) == cfg!(windows)), "{json:#}");
}

fn run(args: &[&str], plugin: &Path) -> Run {
    let args = args.iter().chain(&COOKIE).chain(&["--"]);
    rpcplugin(args.map(OsString::from).chain([plugin.into()]))
}
