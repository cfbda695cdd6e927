//! `inspect`.

use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;

use crate::{
    program::{Run, basic_plugin, peer, rpcplugin, script},
    running::{kit, kit_proto, of_the_tests},
};

fn inspect(args: &[&str], plugin: impl AsRef<OsStr>) -> Run {
    rpcplugin(["inspect"].iter().chain(args).map(OsStr::new).chain([plugin.as_ref()]))
}

/// Returns the JSON of `inspect`.
fn facts(args: &[&str], plugin: &Path) -> Value {
    inspect(&[&["--json"], args].concat(), plugin).ended_with(0).json()
}

fn service<'a>(facts: &'a Value, name: &str) -> &'a Value {
    let services = facts["services"].as_array().unwrap();
    services.iter().find(|service| service["name"] == name).unwrap()
}

#[test]
fn a_rust_plugin_is_shown_completely() {
    let Some(kit) = kit() else { return };
    let facts = facts(&[], &kit);
    assert_eq!(facts["protocol"], serde_json::json!({ "core": 1, "app": 3 }));
    assert_eq!((&facts["command"]["preset"], &facts["health"]["status"]), (&"kit".into(), &"SERVING".into()));
    assert_eq!(facts["transport"]["network"], "unix");
    assert_eq!(facts["transport"]["socket"]["mode"], "0600");
    assert_eq!(facts["transport"]["directory"]["mode"], "0700");
    let security = &facts["security"];
    assert_eq!((&security["kind"], &security["trust"]), (&"mutual".into(), &"pinned".into()));
    let fingerprints = ["host_certificate", "plugin_certificate"].map(|whose| &security[whose]["sha256"]);
    assert!(fingerprints[0].as_str().unwrap().len() == 64 && fingerprints[0] != fingerprints[1]);
    assert_eq!(security["plugin_certificate"]["key"], "ECDSA P-256");
    assert_eq!(security["strangers"], "refused");
    assert_eq!(facts["features"]["reflection"], "v1");
    assert_eq!(facts["features"]["broker"], true);
    assert_eq!(facts["features"]["multiplexing"], "not asked");
    let methods = service(&facts, "conformance.v1.Kit")["methods"].as_array().unwrap();
    let chat = methods.iter().find(|method| method["name"] == "Chat").unwrap();
    assert!(chat["client_streaming"] == true && chat["server_streaming"] == true, "{chat}");
    let timings = &facts["timings"];
    let steps = ["process_ms", "handshake_line_ms", "connection_ms", "health_ms"];
    let sum: f64 = steps.iter().map(|step| timings[step].as_f64().unwrap()).sum();
    assert!(sum > 0.0 && sum <= timings["total_ms"].as_f64().unwrap() + 0.01, "{timings}");
    assert_eq!(facts["end"]["clean"], true);
}

#[test]
fn plain_text_multiplexing_and_tcp_are_shown() {
    let Some(kit) = kit() else { return };
    let plain = facts(&["--no-mtls"], &kit);
    assert_eq!(plain["security"]["kind"], "none");
    assert!(plain["security"]["plugin_certificate"].is_null());
    let over_one_socket = facts(&["--mux"], &kit);
    assert_eq!(over_one_socket["features"]["multiplexing"], "yes");
    assert!(over_one_socket["security"]["strangers"].is_null(), "not tested");
    let tcp = rpcplugin(["--json", "inspect", kit.to_str().unwrap(), "--net", "tcp"]).ended_with(0).json();
    assert_eq!((&tcp["transport"]["network"], &tcp["transport"]["socket"]), (&"tcp".into(), &Value::Null));
    assert_eq!(facts(&["--versions", "1-2"], &kit)["protocol"]["app"], 2);
}

#[test]
fn the_tree_has_no_colours_in_a_pipe() {
    let run = inspect(&["--cookie", "BASIC_PLUGIN=hello"], basic_plugin()).ended_with(0);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    let run =
        run.prints(&["process", "mutual TLS", "SHA-256", "services", "handshake line", "ended cleanly"]);
    assert_eq!(run.stderr, "");
    let coloured = inspect(&["--color", "always", "--cookie", "BASIC_PLUGIN=hello"], basic_plugin());
    assert!(coloured.ended_with(0).stdout.contains("\u{1b}[32m"));
}

/// The tree has the names of the JSON.
#[test]
fn tree_and_json_have_the_same_names() {
    let args = ["--cookie", "BASIC_PLUGIN=hello", "--versions", "1,3"];
    let json = facts(&args, &basic_plugin());
    let tree = inspect(&args, basic_plugin()).ended_with(0);
    let features = json["features"].as_object().unwrap();
    // These are shown only if they have a value.
    let features = features
        .keys()
        .filter(|name| !["described_by_files", "files", "reflection_fault"].contains(&name.as_str()));
    for name in features.map(String::as_str).chain(["features", "services", "timings"]) {
        assert!(tree.stdout.contains(&format!("─ {name}")), "{name} is missing in {}", tree.stdout);
    }
    tree.prints(&["version 1 (offered: 3, 1)"]);
}

/// The shell keeps running after the plugin has exited, and is killed.
#[test]
fn the_duration_of_a_shutdown_is_shown_once() {
    let Some(kit) = peer("go", "kit-plugin") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = script(dir.path(), "stays", &format!("'{}'\nexec sleep 60", kit.display()));
    let run = inspect(&["--preset", "kit"], &path).ended_with(0);
    let end = run.stdout.lines().find(|line| line.contains("had to be killed with SIGKILL")).unwrap();
    assert_eq!(end.matches("after").count(), 1, "{end}");
}

#[test]
fn a_note_names_flags_that_go_to_the_plugin() {
    let plugin = basic_plugin();
    let plugin = plugin.to_str().unwrap();
    let run = rpcplugin(["inspect", plugin, "serve", "--cookie", "BASIC_PLUGIN=hello"]).ended_with(3);
    run.prints(&["--cookie goes to the plugin", "put it before the plugin", "cookie_not_given"]);
    let run = rpcplugin(["inspect", "--", plugin, "serve", "--cookie", "BASIC_PLUGIN=hello"]).ended_with(3);
    assert!(!run.stderr.contains("goes to the plugin"), "{}", run.stderr);
}

#[test]
fn a_go_plugin_is_shown() {
    let Some(plugin) = peer("go", "kit-plugin") else { return };
    let facts = facts(&[], &plugin);
    assert_eq!(facts["security"]["plugin_certificate"]["key"], "ECDSA P-521");
    assert!(service(&facts, "conformance.v1.Kit")["methods"].as_array().unwrap().len() > 10);
    assert_eq!((&facts["features"]["stdio"], &facts["features"]["controller"]), (&true.into(), &true.into()));
}

/// The plugin has no reflection, so a file describes its services.
#[test]
fn a_python_plugin_is_shown_with_a_proto_file() {
    let Some(python) = peer("python", "bin/python") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python/kit_plugin.py");
    let proto = kit_proto();
    let args = ["--json", "inspect", "--preset", "kit", "--proto"].map(OsStr::new);
    let all = args.into_iter().chain([proto.as_os_str(), python.as_os_str(), script.as_os_str()]);
    let facts = rpcplugin(all).ended_with(0).json();
    assert!(facts["features"]["reflection"].is_null() && facts["features"]["controller"].is_null());
    assert_eq!(facts["features"]["described_by_files"], true);
    // pyvider does not require a client certificate.
    assert_eq!(facts["security"]["strangers"], "served_without_certificate");
    assert!(!service(&facts, "conformance.v1.Kit")["methods"].as_array().unwrap().is_empty());
    let undescribed = rpcplugin(
        [OsStr::new("inspect"), OsStr::new("--preset"), OsStr::new("kit")]
            .into_iter()
            .chain([python.as_os_str(), script.as_os_str()]),
    );
    undescribed.ended_with(0).prints(&["the plugin has no reflection", "--proto FILE"]);
}

#[test]
fn a_terraform_provider_is_recognized_by_its_name() {
    let Some(provider) = of_the_tests("terraform-provider-demo") else { return };
    let facts = facts(&[], &provider);
    assert_eq!((&facts["command"]["preset"], &facts["protocol"]["app"]), (&"terraform".into(), &6.into()));
    let methods = service(&facts, "tfplugin6.Provider")["methods"].as_array().unwrap();
    assert!(methods.iter().any(|method| method["name"] == "PlanResourceChange"));
    assert_eq!(self::facts(&["--preset", "terraform", "--versions", "5"], &provider)["protocol"]["app"], 5);
}

#[test]
fn programs_that_are_not_plugins_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let none = |path: &Path, words: &[&str]| _ = inspect(&[], path).ended_with(3).prints(words);
    none(Path::new("/bin/ls"), &["did not start", "as an ordinary program", "exit status 0"]);
    none(&file("hello.sh", "#!/bin/sh\necho hello\n", 0o755), &["hello", "it is a script for /bin/sh"]);
    none(&file("text", "text\n", 0o644), &["may not be executed", "neither a program nor a script"]);
    none(&file("run", "text\n", 0o755), &["is not a program for this machine", "#!/bin/sh"]);
    none(Path::new("/nowhere/at/all"), &["there is no program", "check the path"]);
    none(dir.path(), &["is a directory, not a program"]);
    let without_tls = "#!/bin/sh\necho '1|1|unix|/nowhere|grpc'\nsleep 60\n";
    none(&file("plain", without_tls, 0o755), &["plugin_ignored_mtls", "--no-mtls"]);
    let silent = file("silent", "#!/bin/sh\nexec sleep 60\n", 0o755);
    inspect(&["--timeout", "100ms"], &silent)
        .ended_with(3)
        .prints(&["printed no handshake line within", "--timeout"]);
    let log = r#"{"@level":"error","@message":"there is no database under this address","@module":"kv","@timestamp":"2026-11-20T18:35:19.725250Z","address":"a-long-name.example.com"}"#;
    let logs = format!("#!/bin/sh\necho '{log}' >&2\nexit 7\n");
    none(
        &file("logs", &logs, 0o755),
        &[
            "18:35:19.725 ERROR kv: there is no database under this address address=\"a-long-name.example.com\"",
        ],
    );
}

#[test]
fn a_missing_or_wrong_cookie_is_an_error() {
    inspect(&[], basic_plugin()).ended_with(3).prints(&[
        "rpcplugin::config::cookie_not_given",
        "--cookie BASIC_PLUGIN=…",
        "BASIC_PLUGIN is not set",
        "--preset",
    ]);
    inspect(&["--cookie", "BASIC_PLUGIN=other"], basic_plugin())
        .ended_with(3)
        .prints(&["the plugin refused the magic cookie, which another host has", "the same value"]);
    let json = inspect(&["--json"], basic_plugin()).ended_with(3).json();
    assert!(json["error"]["help"].as_str().unwrap().contains("--cookie"), "{json}");
}

/// A name without a slash is searched in PATH, even if the working directory has such a file.
#[test]
fn a_program_in_the_working_directory_needs_a_path() {
    let dir = basic_plugin();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
        .args(["inspect", "basic-plugin"])
        .current_dir(dir.parent().unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("rpcplugin::transport::plugin_not_in_path") && stderr.contains("./basic-plugin"),
        "{stderr}"
    );
}

#[test]
fn invalid_arguments_are_usage_errors() {
    for args in [&["inspect"][..], &["inspect", "--cookie", "x", "y"], &["inspect", "--versions", "x", "y"]] {
        rpcplugin(args).ended_with(2);
    }
    rpcplugin(["inspect", "--preset", "none", "x"]).ended_with(2).prints(&["terraform"]);
    let missing = inspect(&["--cookie", "BASIC_PLUGIN=hello", "--proto", "/nowhere.proto"], basic_plugin());
    missing
        .ended_with(2)
        .prints(&["rpcplugin::config::invalid_arguments", "the file /nowhere.proto does not exist"]);
}
