//! Plugins in a sandbox: `--sandbox` and its options.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rpcplugin::sandbox::{Network, Sandbox};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    program::{Run, peer, rpcplugin, script},
    running::{Running, kit},
};

/// Whether this system can confine a plugin that has no network.
fn can_confine() -> bool {
    Sandbox::new().check().is_full()
}

fn run(command: &str, args: &[&str], plugin: &Path) -> Run {
    rpcplugin([command].iter().chain(args).map(OsStr::new).chain([plugin.as_os_str()]))
}

/// A script that needs a file, and is the conformance plugin then.
fn reader(dir: &Path, kit: &Path, needed: &Path) -> PathBuf {
    let text = format!("read -r line < '{}' || exit 7\nexec '{}'", needed.display(), kit.display());
    script(dir, "kit-plugin", &text)
}

#[test]
fn a_confined_plugin_works_and_each_layer_is_shown() {
    let Some(kit) = kit() else { return };
    if !can_confine() {
        return;
    }
    let facts =
        run("inspect", &["--json", "--sandbox", "--limit", "files=512,cpu=1m"], &kit).ended_with(0).json();
    let sandbox = &facts["sandbox"];
    assert_eq!((&sandbox["full"], &sandbox["allow"]), (&json!(true), &json!([])));
    assert_eq!(sandbox["limits"], json!(["files=512", "cpu=60s"]));
    let state = |layer: &str| {
        let layers = sandbox["layers"].as_array().unwrap();
        layers.iter().find(|found| found["layer"] == layer).unwrap()["state"].clone()
    };
    for layer in
        ["filesystem", "tcp", "udp", "signals", "system_calls", "environment", "open_files", "cpu_time"]
    {
        assert_eq!(state(layer), "enforced", "{layer}");
    }
    assert_eq!(state("memory"), "unrestricted");
    assert_eq!((&facts["health"]["status"], &facts["end"]["clean"]), (&json!("SERVING"), &json!(true)));

    let shown = run("inspect", &["--sandbox", "--allow-read", "/usr"], &kit).ended_with(0);
    shown.prints(&["sandbox", "allows", "read /usr", "system calls", "enforced"]);
    let plain = run("inspect", &["--json"], &kit).ended_with(0).json();
    assert_eq!(plain["sandbox"], Value::Null);
}

#[test]
fn what_is_denied_is_named_with_the_option_that_allows_it() {
    let Some(kit) = kit() else { return };
    if !can_confine() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let needed = fs::canonicalize(dir.path()).unwrap().join("needed");
    fs::write(&needed, "x\n").unwrap();
    let plugin = reader(dir.path(), &kit, &needed);
    let option = format!("--allow-read {}", needed.display());
    let execute = ["--sandbox", "--allow-execute", kit.to_str().unwrap()];

    let refused = run("inspect", &execute, &plugin).ended_with(3);
    refused.prints(&["rpcplugin::security::sandbox_denied", &option]);
    run("doctor", &execute, &plugin).ended_with(1).prints(&["wrong  sandbox", &option]);
    let traced = run("run", &[&execute[..], &["--trace-access"]].concat(), &plugin).ended_with(3);
    assert!(traced.stdout.lines().any(|line| line == option), "{traced:?}");

    let allowed = [&execute[..], &["--allow-read", needed.to_str().unwrap()]].concat();
    run("inspect", &allowed, &plugin).ended_with(0);
    run("doctor", &allowed, &plugin).ended_with(0).prints(&["ok     sandbox"]);
}

#[test]
fn a_trace_of_a_plugin_that_works_has_what_it_was_denied_meanwhile() {
    let Some(kit) = kit() else { return };
    if !can_confine() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let secret = fs::canonicalize(dir.path()).unwrap().join("secret");
    fs::write(&secret, "x\n").unwrap();
    let text = format!("(read -r line < '{}')\nexec '{}'", secret.display(), kit.display());
    let plugin = script(dir.path(), "kit-plugin", &text);
    let execute = ["--sandbox", "--trace-access", "--allow-execute", kit.to_str().unwrap()];
    let running = Running::start(&execute, &plugin);
    assert_eq!(running.ready["sandbox"]["full"], true);
    let (code, rest) = running.end_with(Signal::INT);
    let lines = rest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let denied = lines.into_iter().find(|line| line["kind"] == "denied").unwrap();
    assert_eq!(code, Some(0), "{rest}");
    let options = denied["options"].as_array().unwrap();
    assert!(options.contains(&json!(format!("--allow-read {}", secret.display()))), "{denied}");
}

#[test]
fn a_sandbox_that_cannot_be_enforced_is_refused_with_the_layer() {
    let Some(kit) = kit() else { return };
    let online = Sandbox::new().network(Network::none().connect([443]));
    if !can_confine() || online.check().is_full() {
        return;
    }
    // Before Linux 7.1 nothing keeps a plugin with TCP from the Unix sockets of its user.
    for (command, code) in [("inspect", 3), ("conformance", 3), ("doctor", 1)] {
        let refused = run(command, &["--sandbox", "--allow-net", "443"], &kit).ended_with(code);
        refused.prints(&["unix_sockets", "--allow-unix-sockets", "--sandbox-best-effort"]);
    }
    let partly =
        run("inspect", &["--json", "--sandbox", "--allow-net", "443", "--sandbox-best-effort"], &kit);
    let facts = partly.ended_with(0).json();
    assert_eq!(facts["sandbox"]["full"], false);
    let missing = |facts: &Value| facts["layer"] == "unix_sockets" && facts["missing"].is_string();
    assert!(facts["sandbox"]["layers"].as_array().unwrap().iter().any(missing), "{facts}");
    run("inspect", &["--sandbox", "--allow-net", "443", "--allow-unix-sockets"], &kit).ended_with(0);
}

#[test]
fn checks_run_confined() {
    let Some(kit) = kit() else { return };
    if !can_confine() {
        return;
    }
    let only = "shutdown,sigint-ignored,socket-,line-empty,host-death";
    let report = run("conformance", &["--json", "--sandbox", "--only", only], &kit).ended_with(0).json();
    let status = |name: &str| {
        let checks = report["findings"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).map(|check| check["result"].clone())
    };
    for name in [
        "line-empty-variables",
        "shutdown",
        "shutdown-mtls",
        "sigint-ignored",
        "socket-private",
        "socket-directory",
        "socket-gone",
    ] {
        assert_eq!(status(name), Some("pass".into()), "{name}: {report}");
    }
    for name in ["host-death", "socket-group"] {
        assert_eq!(status(name), Some("skip".into()), "{name}: {report}");
    }
}

#[test]
fn plugins_in_go_and_python_work_confined() {
    if !can_confine() {
        return;
    }
    if let Some(plugin) = peer("go", "kit-plugin") {
        run("inspect", &["--sandbox"], &plugin).ended_with(0).prints(&["health     serving"]);
    }
    if let Some(python) = peer("python", "bin/python") {
        let dir = tempfile::tempdir().unwrap();
        let code = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python");
        let code = fs::canonicalize(code).unwrap();
        let print = "import sys; print(sys.prefix); print(sys.base_prefix); print(sys.executable)";
        let printed = Command::new(&python).args(["-c", print]).output().unwrap();
        // pyvider looks whether its own socket is in use, and sets its mode.
        let own = ["--sandbox", "--allow-unix-sockets", "--allow-calls", "file_metadata", "--allow-read"];
        let mut args: Vec<_> = own.map(str::to_owned).into();
        args.push(code.display().to_string());
        for path in String::from_utf8(printed.stdout).unwrap().lines() {
            args.extend(["--allow-execute".to_owned(), path.to_owned()]);
        }
        let text = format!("exec '{}' '{}/kit_plugin.py'", python.display(), code.display());
        let plugin = script(dir.path(), "kit-plugin", &text);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        run("inspect", &args, &plugin).ended_with(0).prints(&["health     serving"]);
    }
}

#[test]
fn unusable_options_are_usage_errors() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = script(dir.path(), "plugin", "exit 1");
    for (args, word) in [
        (&["--allow-read", "/"][..], "--sandbox"),
        (&["--sandbox", "--limit", "disk=1"], "there is no limit `disk`"),
        (&["--sandbox", "--allow-net", "http"], "expected all, udp, a port"),
        (&["--locked", "--runner", "docker:image"], "--runner"),
    ] {
        run("inspect", args, &plugin).ended_with(2).prints(&[word]);
    }
    run("run", &["--trace-access"], &plugin).ended_with(2).prints(&["--sandbox"]);
    let traced = ["--sandbox", "--trace-access", "--runner", "docker:image"];
    run("run", &traced, &plugin).ended_with(2).prints(&["--runner"]);
    run("bridge", &["--sandbox"], &plugin).ended_with(2).prints(&["--sandbox"]);
    if can_confine() {
        let missing = run("inspect", &["--sandbox", "--allow-read", "/no/such/path"], &plugin).ended_with(3);
        missing.prints(&["rpcplugin::security::sandbox_path", "/no/such/path"]);
    }
}
