//! `run` and `attach`.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::{
    program::{eventually, rpcplugin},
    running::{Running, kit, kit_proto, of_the_tests},
};

#[test]
fn run_keeps_a_plugin_running_and_shuts_it_down() {
    let Some(kit) = kit() else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let mut running = Running::start(&["--no-mtls"], &kit);
        let json = running.reattach();
        let call = ["attach", &json, "call", "WriteStdio", "-d", r#"{"stdout":"aGkK","stderr":"aG8K"}"#];
        rpcplugin(call).ended_with(0);
        // The order of the two is not defined.
        let kinds = ["stdout", "stderr"];
        let printed = running.until_any(&kinds);
        let other = running.until_any(&kinds);
        let mut both = [
            (printed["kind"].clone(), printed["text"].clone()),
            (other["kind"].clone(), other["text"].clone()),
        ];
        both.sort_by_key(|(kind, _)| kind.to_string());
        assert_eq!(both, [("stderr".into(), "ho".into()), ("stdout".into(), "hi".into())]);
        let plugin = Pid::from_raw(running.plugin()).unwrap();
        let (code, rest) = running.end_with(signal);
        assert_eq!(code, Some(0), "{rest}");
        assert!(rest.contains(r#""clean":true"#), "{rest}");
        assert!(test_kill_process(plugin).is_err(), "the plugin has exited");
    }
}

#[test]
fn run_reports_a_crash() {
    let Some(kit) = kit() else { return };
    let running = Running::start(&[], &kit);
    kill_process(Pid::from_raw(running.plugin()).unwrap(), Signal::ABORT).unwrap();
    let (code, rest) = running.end();
    assert_eq!(code, Some(4), "{rest}");
    assert!(rest.contains("signal 6 (SIGABRT"), "{rest}");
}

#[test]
fn a_plugin_under_mutual_tls_serves_clients_with_the_handover() {
    let Some(kit) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("handover.json");
    let path = file.to_str().unwrap();
    let running = Running::start(&["--handover", path], &kit);
    eventually(|| std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n')));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let facts = rpcplugin(["--json", "attach", path]).ended_with(0).json();
    assert_eq!(facts["process"]["pid"], running.ready["pid"]);
    assert_eq!(facts["security"]["trust"], "pinned");
    assert!(facts["end"].is_null() && facts["timings"]["process_ms"].is_null());
    assert_eq!(rpcplugin(["attach", path, "call", "Info"]).ended_with(0).json()["protocolVersion"], 3);
    let proto = kit_proto();
    for files in [["--proto", proto.to_str().unwrap()], ["--proto", "/nowhere.proto"]] {
        let there = rpcplugin(["attach", path, "call", "Info"].into_iter().chain(files));
        let before = rpcplugin(["attach", path].into_iter().chain(files).chain(["call", "Info"]));
        assert_eq!((there.code, &there.stderr), (before.code, &before.stderr));
        there.ended_with(if files[1] == "/nowhere.proto" { 2 } else { 0 });
    }

    // Without the key the plugin refuses the client.
    rpcplugin(["attach", &running.reattach()])
        .ended_with(3)
        .prints(&["rpcplugin::security::attach_without_identity", "--handover FILE"]);
    let (code, _) = running.end_with(Signal::INT);
    assert_eq!(code, Some(0));
    assert!(!file.exists(), "the file is removed with the plugin");
    rpcplugin(["attach", "unix:/nowhere/plugin"]).ended_with(3).prints(&["there is no plugin at"]);
}

#[test]
fn attach_by_name_and_by_address() {
    let Some(provider) = of_the_tests("terraform-provider-demo") else { return };
    let running = Running::start(&["--no-mtls", "--name", "example.com/a/demo"], &provider);
    let all = running.ready["tf_reattach_providers"].to_string();
    assert!(all.contains("example.com/a/demo"), "{all}");
    let facts =
        rpcplugin(["--json", "attach", &format!("TF_REATTACH_PROVIDERS='{all}'")]).ended_with(0).json();
    assert_eq!((&facts["name"], &facts["protocol"]["app"]), (&"example.com/a/demo".into(), &6.into()));
    let address = format!("unix:{}", running.ready["reattach"]["Addr"]["String"].as_str().unwrap());
    let facts = rpcplugin(["--json", "attach", &address, "--app-version", "6"]).ended_with(0).json();
    assert_eq!(facts["security"]["kind"], "none");
    let one = all.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap();
    let two = format!("{{{one},{}}}", one.replace("/demo", "/other"));
    rpcplugin(["attach", &two])
        .ended_with(2)
        .prints(&["the JSON has several plugins", "example.com/a/other"]);
    rpcplugin(["attach", &two, "--name", "example.com/a/other"]).ended_with(0);
    rpcplugin(["attach", &two, "--name", "example.com/a/missing"]).ended_with(2).prints(&[
        "there is no plugin \"example.com/a/missing\" in the JSON",
        "use one of the plugins: example.com/a/demo, ",
    ]);
    rpcplugin(["attach", &address, "stop"]).ended_with(0).prints(&["the plugin"]);
    let (code, rest) = running.end();
    assert_eq!(code, Some(4), "another program shut it down: {rest}");
    assert!(rest.contains("cleanly, without a request of this program"), "{rest}");
}

#[test]
fn attach_with_certificate_files() {
    use crate::program::peer;
    let (Some(kit), Some(go)) = (kit(), peer("go", "kit-host")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new(go).arg("certs").arg(dir.path()).output().unwrap();
    assert!(made.status.success());
    let mut plugin = std::process::Command::new(kit)
        .arg("--test-mode")
        .arg("--tls-dir")
        .arg(dir.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut json = String::new();
    let stdout = plugin.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut json).unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (cert, key, ca) = (file("host.pem"), file("host.key"), file("ca.pem"));
    let run = rpcplugin(["--json", "attach", json.trim(), "--cert", &cert, "--key", &key, "--ca", &ca]);
    plugin.kill().unwrap();
    plugin.wait().unwrap();
    let facts = run.ended_with(0).json();
    assert_eq!(
        (&facts["security"]["trust"], &facts["security"]["kind"]),
        (&"authorities".into(), &"mutual".into())
    );
    assert_eq!(facts["security"]["plugin_certificate"]["self_signed"], false);
}

#[test]
fn attach_without_a_plugin_is_a_usage_error() {
    rpcplugin(["attach"]).ended_with(2).prints(&["the plugin to attach to is missing"]);
    rpcplugin(["attach", "/nowhere/at/all"]).ended_with(2).prints(&["cannot be read"]);
    rpcplugin(["attach", "unix:/tmp/x", "--cert", "x"]).ended_with(2);
    let given = ["attach", "unix:/tmp/x", "--cert", "/no/cert", "--key", "/no/key", "--ca", "/no/ca"];
    rpcplugin(given).ended_with(2).prints(&["/no/cert"]);
    for (json, message) in [
        (r#"{"a":null}"#, "rpcplugin::handshake::reattach_unreadable"),
        (r#"{"Protocol":"netrpc"}"#, "rpcplugin::handshake::reattach_not_grpc"),
        ("{}", "there is no plugin in the JSON"),
    ] {
        rpcplugin(["attach", json]).ended_with(2).prints(&[message]);
    }
}

#[test]
fn a_key_that_does_not_match_is_a_usage_error() {
    use crate::program::peer;
    let Some(go) = peer("go", "kit-host") else { return };
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new(go).arg("certs").arg(dir.path()).output().unwrap();
    assert!(made.status.success());
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (cert, key, ca) = (file("host.pem"), file("plugin.key"), file("ca.pem"));
    rpcplugin(["attach", "unix:/tmp/x", "--cert", &cert, "--key", &key, "--ca", &ca])
        .ended_with(2)
        .prints(&["rpcplugin::security::identity_key_mismatch"]);
}

/// A plugin in test mode, and its first line on stdout.
struct Serving {
    child: std::process::Child,
    line: String,
}

impl Serving {
    fn start(program: std::path::PathBuf, args: &[&str]) -> Self {
        let mut child = std::process::Command::new(program)
            .args(args)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        Self { child, line: line.trim().to_owned() }
    }

    /// Waits for its exit.
    fn ends(&mut self) {
        eventually(|| self.child.try_wait().unwrap());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A plugin in test mode is shut down, in every language.
#[test]
fn stop_shuts_down_a_plugin_in_test_mode() {
    use crate::program::peer;
    for plugin in [peer("go", "kit-plugin"), kit()].into_iter().flatten() {
        let mut serving = Serving::start(plugin.clone(), &["--test-mode"]);
        assert!(serving.line.contains("\"Test\":true"), "{}", serving.line);
        let run = rpcplugin(["attach", &serving.line, "stop"]).ended_with(0);
        assert!(
            run.stdout.starts_with("the plugin ") && !run.stdout.contains("keeps running"),
            "{}",
            run.stdout
        );
        serving.ends();
        rpcplugin(["attach", &serving.line, "stop"]).ended_with(3).prints(&["there is no plugin at"]);
    }
    let Some(kit) = kit() else { return };
    // The reattach JSON of `run` says that the plugin is in test mode.
    let running = Running::start(&["--no-mtls"], &kit);
    let json = rpcplugin(["--json", "attach", &running.reattach(), "stop"]).ended_with(0).json();
    assert!(json["end"].is_string(), "{json}");
    assert_eq!(running.end().0, Some(4), "another program shut it down");
}

/// A plugin without Shutdown that must not be killed keeps running, and this is an error.
#[test]
fn stop_fails_if_the_plugin_keeps_running() {
    use crate::program::peer;
    let Some(plugin) = peer("go", "bare-plugin") else { return };
    let mut serving = Serving::start(plugin, &[]);
    let address = serving.line.split('|').nth(3).unwrap().to_owned();
    let words =
        ["rpcplugin::protocol::not_stopped", "does not implement plugin.GRPCController", "and kill it"];
    let by_address = rpcplugin(["attach", &address, "stop"]).ended_with(1).prints(&words);
    assert_eq!(by_address.stdout, "");
    let pid = serving.child.id();
    let reattach = |test: bool| {
        format!(
            r#"{{"Protocol":"grpc","ProtocolVersion":1,"Pid":{pid},"Test":{test},"Addr":{{"Network":"tcp","String":"{address}"}}}}"#
        )
    };
    let in_test_mode = rpcplugin(["--json", "attach", &reattach(true), "stop"]).ended_with(1).json();
    assert_eq!(in_test_mode["error"]["code"], "rpcplugin::protocol::not_stopped");
    let help = in_test_mode["error"]["help"].as_str().unwrap();
    assert!(help.contains(&format!("kill {pid}")), "{in_test_mode}");
    assert!(serving.child.try_wait().unwrap().is_none(), "the plugin keeps running");
    // A plugin with a known pid and not in test mode is killed.
    let killed = rpcplugin(["attach", &reattach(false), "stop"]).ended_with(0);
    killed.prints(&["the plugin had to be killed"]);
    serving.ends();
}
