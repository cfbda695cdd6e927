//! Plugins of different ecosystems and library versions: presets set what their hosts set, and correct plugins have no faults.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use crate::program::{Run, basic_plugin, peer, rpcplugin, script};

const AGED: [&str; 2] = ["--cookie", "AGED_PLUGIN=hello"];

/// Writes a script that records its environment and exits.
fn recorder(dir: &Path, name: &str) -> PathBuf {
    script(dir, name, &format!("env > '{}'\nexit 1", dir.join("environment").display()))
}

/// Returns the environment of a plugin with this name.
fn environment(command: &str, args: &[&str], name: &str) -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let plugin = recorder(dir.path(), name);
    let all = [command].into_iter().chain(args.iter().copied()).map(Path::new);
    rpcplugin(all.chain([plugin.as_path()]));
    let recorded = std::fs::read_to_string(dir.path().join("environment")).unwrap();
    let lines = recorded.lines().filter_map(|line| line.split_once('='));
    lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_preset_sets_the_variables_of_its_hosts() {
    let vault = [("VAULT_PLUGIN_AUTOMTLS_ENABLED", "true"), ("VAULT_PLUGIN_METADATA_MODE", "false")];
    let dkron = "b29a76488b6f3ca7955c5f769b50641f0fcd88748d8cedecda313d516320ca19";
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("vault", &vault),
        ("vault-database", &vault),
        ("velero", &[("VELERO_PLUGIN", "hello"), ("PLUGIN_PROTOCOL_VERSIONS", "2")]),
        ("dkron", &[("DKRON_PLUGIN_MAGIC_COOKIE", dkron), ("PLUGIN_PROTOCOL_VERSIONS", "1")]),
        (
            "steampipe",
            &[
                ("MANTIX_PLUGIN_MAGIC_COOKIE", "really-complex-permanent-string-value"),
                ("PLUGIN_PROTOCOL_VERSIONS", "0"),
            ],
        ),
        (
            "spire",
            &[("KeyManager", "KeyManager"), ("NodeAttestor", "NodeAttestor"), ("SVIDStore", "SVIDStore")],
        ),
        ("conduit", &[("PLUGIN_PROTOCOL_VERSIONS", "2,1")]),
        ("nomad", &[("PLUGIN_PROTOCOL_VERSIONS", "2")]),
    ];
    for (preset, expected) in cases {
        // One starts it with the library, the other without.
        for command in ["inspect", "doctor"] {
            let found = environment(command, &["--preset", preset], "plugin");
            for (key, value) in expected {
                assert_eq!(found.get(*key).map(String::as_str), Some(*value), "{command} {preset} {key}");
            }
        }
    }
    // A Conduit connector exits if one of these is missing or empty.
    let conduit = environment("inspect", &["--preset", "conduit"], "plugin");
    for name in ["UTILITIES_GRPC_TARGET", "TOKEN", "ID"] {
        let value = conduit.get(&format!("CONDUIT_CONNECTOR_{name}"));
        assert!(value.is_some_and(|value| !value.is_empty()), "{name}: {conduit:?}");
    }
    assert!(environment("inspect", &["--preset", "crowdsec"], "plugin").contains_key("CROWDSEC_PLUGIN_KEY"));
    // Flags override the preset.
    let own = environment(
        "inspect",
        &["--preset", "vault", "--env", "VAULT_PLUGIN_METADATA_MODE=true", "--versions", "9"],
        "plugin",
    );
    assert_eq!((&*own["VAULT_PLUGIN_METADATA_MODE"], &*own["PLUGIN_PROTOCOL_VERSIONS"]), ("true", "9"));
    // The name of the program selects the preset.
    let by_name = environment("inspect", &[], "conduit-connector-generator");
    assert!(by_name.contains_key("CONDUIT_PLUGIN_MAGIC_COOKIE"), "{by_name:?}");
}

#[test]
fn without_a_preset_0_to_7_are_offered() {
    for command in ["inspect", "doctor"] {
        let found = environment(command, &["--cookie", "A=b"], "plugin");
        assert_eq!(found["PLUGIN_PROTOCOL_VERSIONS"], "7,6,5,4,3,2,1,0", "{command}");
    }
}

#[test]
fn plugins_of_packer_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = recorder(dir.path(), "packer-plugin-amazon_v1.3.0_x5.0_linux_amd64");
    let named = plugin.to_str().unwrap();
    let other = recorder(dir.path(), "other");
    let by_preset = ["--preset", "packer", other.to_str().unwrap()];
    for command in ["inspect", "run", "conformance", "bench"] {
        for args in [&[named][..], &by_preset] {
            let run = rpcplugin([command].iter().chain(args));
            run.ended_with(3).prints(&[
                "rpcplugin::protocol::packer",
                "of Packer",
                "launch the plugin with `packer`",
            ]);
        }
    }
    rpcplugin(["doctor", named])
        .ended_with(1)
        .prints(&["wrong  protocol", "launch the plugin with `packer`"]);
    assert!(!dir.path().join("environment").exists(), "the plugin is not started");

    // Under another name the handshake line shows the protocol.
    let other = script(dir.path(), "other", "echo '5|0|unix|/tmp/packer-plugin123'; exec sleep 60");
    for command in ["inspect", "conformance", "doctor"] {
        let run = rpcplugin([command, "--cookie", "A=b", other.to_str().unwrap()]);
        assert!(run.code == Some(3) || command == "doctor" && run.code == Some(1), "{run:?}");
        let run = run.prints(&["of Packer", "launch the plugin with `packer`"]);
        assert!(
            !run.stdout.contains("core protocol version") && !run.stderr.contains("core protocol version")
        );
    }
}

/// Without a common version go-plugin selects its oldest version, even if it is served over net/rpc.
#[test]
fn a_plugin_may_serve_its_oldest_version_over_net_rpc() {
    let Some(plugin) = peer("go", "aged-plugin") else { return };
    let run = conformance(
        &["--json", "--only", "version,line-form"],
        &AGED,
        &plugin,
        &["--net-rpc", "1,2", "--grpc", "3"],
    );
    let run = run.ended_with(0);
    let seen = |name: &str| finding(&run, name)["seen"].as_str().unwrap().to_owned();
    assert_eq!(seen("version-no-overlap"), "the plugin selects 1 over net/rpc");
    assert_eq!(seen("version-not-sent"), "the plugin selects 1 over net/rpc");
    assert_eq!(seen("version-alone"), "3, 2 over net/rpc, 1 over net/rpc served, 7, 6, 5, 4, 0 not served");
    assert!(results(&run).values().all(|result| result == "pass"), "{}", run.stdout);
}

#[test]
fn a_net_rpc_plugin_is_one_error() {
    let Some(plugin) = peer("go", "aged-plugin") else { return };
    let junit = tempfile::NamedTempFile::new().unwrap();
    let junit_file = junit.path().to_str().unwrap();
    let run = conformance(&["--junit", junit_file], &AGED, &plugin, &["--net-rpc", "1,2"]).ended_with(3);
    let run = run.prints(&[
        "rpcplugin::protocol::net_rpc",
        "net/rpc is not supported",
        "rebuild the plugin with a gRPC server",
    ]);
    assert_eq!(run.stdout, "", "there are no results");
    // The certificate in the line is not shown.
    assert!(run.stderr.len() < 600, "{}", run.stderr);
    let xml = std::fs::read_to_string(junit.path()).unwrap();
    assert!(xml.contains("errors=\"1\"") && xml.contains("net/rpc"), "{xml}");
    let json = conformance(&["--json"], &AGED, &plugin, &["--net-rpc", "1,2"]).ended_with(3).json();
    assert_eq!(json["error"]["code"], "rpcplugin::protocol::net_rpc");
    let doctor = with("doctor", &[], &AGED, &plugin, &["--net-rpc", "1,2"]).ended_with(1);
    doctor.prints(&["wrong  line", "characters of certificate", "rebuild the plugin with a gRPC server"]);

    // The plugin may serve other versions over gRPC.
    let both = ["--net-rpc", "1,2", "--grpc", "3"];
    for command in ["conformance", "doctor"] {
        with(command, &["--versions", "2"], &AGED, &plugin, &both).prints(&["versions other than 2"]);
    }
}

#[test]
fn a_plugin_of_an_older_go_plugin_conforms() {
    let Some(plugin) = peer("go", "old-plugin") else { return };
    let run = conformance(&["--json", "--jobs", "4"], &["--cookie", "OLD_PLUGIN=hello"], &plugin, &[]);
    let run = run.ended_with(0);
    let results = results(&run);
    let wrong: Vec<_> =
        results.iter().filter(|(_, result)| *result == "fail").map(|(name, _)| &**name).collect();
    // Features of go-plugin 1.5.
    assert_eq!(wrong, ["socket-directory", "socket-group"], "{}", run.stdout);
    assert_eq!(finding(&run, "socket-directory")["level"], "should");
    assert_eq!(results["mux"], "skip");
}

#[test]
fn a_plugin_with_version_0_works() {
    let Some(plugin) = peer("go", "aged-plugin") else { return };
    let facts = with("inspect", &["--json"], &AGED, &plugin, &["--grpc", "0"]).ended_with(0).json();
    assert_eq!(facts["protocol"]["app"], 0);
    with("doctor", &[], &AGED, &plugin, &["--grpc", "0"]).ended_with(0).prints(&["ok     version     0"]);
    let run = conformance(&["--json", "--only", "version"], &AGED, &plugin, &["--grpc", "0"]).ended_with(0);
    assert!(results(&run).values().all(|result| result == "pass"), "{}", run.stdout);
}

/// pyvider's plugins refuse a list with version 0.
#[test]
fn a_python_plugin_is_offered_versions_without_0() {
    let Some(python) = peer("python", "bin/python") else { return };
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python/kit_plugin.py");
    let rest = ["--cookie", "CONFORMANCE_KIT_COOKIE=b1d0c9a6-conformance", "--"];
    for args in [&["inspect"][..], &["conformance", "--only", "version-list,line-form"]] {
        let args = args.iter().chain(&rest).map(Path::new);
        let run = rpcplugin(args.chain([python.as_path(), plugin.as_path()])).ended_with(0);
        assert!(!run.stdout.contains("SKIP"), "{}", run.stdout);
    }
}

#[test]
fn a_plugin_without_the_offered_versions_has_no_fault() {
    let Some(plugin) = peer("go", "aged-plugin") else { return };
    let serves = ["--grpc", "3"];
    let run = conformance(&["--json", "--versions", "5,6", "--only", "version"], &AGED, &plugin, &serves);
    let run = run.ended_with(0);
    for name in ["version-list", "version-alone", "version-unreadable"] {
        let finding = finding(&run, name);
        assert_eq!(finding["result"], "skip", "{finding}");
        assert!(finding["seen"].as_str().unwrap().contains("--versions"), "{finding}");
    }
    assert_eq!(finding(&run, "version-no-overlap")["result"], "pass");
    for (given, reason) in [
        ("6", "--versions 6 does not include it; offer it with --versions 3"),
        ("1,2", "--versions 2,1 does not include it"),
    ] {
        let inspected = with("inspect", &["--versions", given], &AGED, &plugin, &serves).ended_with(3);
        let inspected = inspected.prints(&["rpcplugin::protocol::version_not_offered", reason]);
        let doctor = with("doctor", &["--versions", given], &AGED, &plugin, &serves).ended_with(1);
        let doctor = doctor.prints(&["wrong  version", reason]);
        for run in [inspected, doctor] {
            assert!(!run.stdout.contains("update") && !run.stderr.contains("update"), "{run:?}");
        }
    }
    // The help names the preset or the default.
    let preset = ["--preset", "terraform", "--env", "AGED_PLUGIN=hello"];
    with("inspect", &preset, &[], &plugin, &serves)
        .ended_with(3)
        .prints(&["the hosts of terraform offer 6,5; offer it with --versions 3"]);
    with("inspect", &[], &AGED, &plugin, &["--grpc", "12"])
        .ended_with(3)
        .prints(&["offer it with --versions 12"]);
}

/// The handshake line does not show the plugin's own certificates. The socket does.
#[test]
fn a_plugin_with_its_own_certificates_is_recognized_and_reached() {
    let (Some(plugin), Some(host)) = (peer("go", "kit-plugin"), peer("go", "kit-host")) else { return };
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new(host).arg("certs").arg(dir.path()).status().unwrap().success());
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (cert, key, ca) = (file("host.pem"), file("host.key"), file("ca.pem"));
    let given = ["--cert", &cert, "--key", &key, "--ca", &ca];
    let tls_dir = dir.path().to_str().unwrap();
    let serves = ["--tls-dir", tls_dir];

    // Without the certificate files.
    for flags in [&[][..], &["--no-mtls"]] {
        let inspected = with("inspect", flags, &[], &plugin, &serves).ended_with(3);
        let inspected =
            inspected.prints(&["rpcplugin::security::own_certificates", "--cert, --key and --ca"]);
        assert!(!inspected.stderr.contains("ignores the request"), "{}", inspected.stderr);
        with("doctor", flags, &[], &plugin, &serves)
            .ended_with(1)
            .prints(&["wrong  security    the plugin has its own certificates", "--cert FILE"]);
    }
    let run = conformance(&["--json", "--jobs", "4"], &[], &plugin, &serves).ended_with(0);
    let json = run.json();
    assert_eq!(json["notes"].as_array().unwrap().len(), 1, "{json}");
    let without = results(&run);
    for (name, result) in &without {
        assert_ne!(result, "fail", "{name}: {}", run.stdout);
    }
    for (name, result) in
        [("line-form", "pass"), ("version-list", "pass"), ("socket-private", "pass"), ("shutdown", "skip")]
    {
        assert_eq!(without[name], result, "{name}");
    }
    let text = conformance(&["--only", "mtls,health"], &[], &plugin, &serves).ended_with(0);
    assert_eq!(text.stdout.matches("NOTE").count(), 1, "{}", text.stdout);

    // With the certificate files.
    let facts =
        with("inspect", &[&["--json"], &given[..]].concat(), &[], &plugin, &serves).ended_with(0).json();
    assert_eq!(
        (&facts["security"]["kind"], &facts["security"]["trust"]),
        (&"mutual".into(), &"authorities".into())
    );
    with("doctor", &given, &[], &plugin, &serves).ended_with(0).prints(&["ok     security", "has no fault"]);
    let args = ["call", "Kit/Info", "-d", "{}"].iter().chain(&given).chain(&["--"]).map(Path::new);
    let call = rpcplugin(args.chain([plugin.as_path()]).chain(serves.map(Path::new)));
    assert_eq!(call.ended_with(0).json()["protocolVersion"], 3);
    let run =
        conformance(&[&["--json", "--jobs", "4"], &given[..]].concat(), &[], &plugin, &serves).ended_with(0);
    let with_them = results(&run);
    for (name, result) in &with_them {
        assert_ne!(result, "fail", "{name}: {}", run.stdout);
    }
    for name in ["shutdown", "health-serving", "probe-rubbish", "mux", "sigterm"] {
        assert_eq!(with_them[name], "pass", "{name}");
    }
    assert_eq!(with_them["mtls-certificate"], "skip");

    // A missing file is a usage error.
    let missing = ["--cert", "/no/cert", "--key", &key, "--ca", &ca];
    for command in ["inspect", "doctor", "conformance"] {
        with(command, &missing, &[], &plugin, &serves).ended_with(2).prints(&["/no/cert"]);
    }
    with("inspect", &["--cert", &cert], &[], &plugin, &[]).ended_with(2).prints(&["--key"]);
}

#[test]
fn failures_in_the_baseline_do_not_fail_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let wrapper = format!("unset PLUGIN_CLIENT_CERT; exec '{}'", basic_plugin().display());
    let plugin = script(dir.path(), "plugin", &wrapper);
    let cookie = ["--cookie", "BASIC_PLUGIN=hello"];
    let only = ["--json", "--only", "mtls-certificate,line-form"];
    let run = |flags: &[&str]| conformance(&[&only[..], flags].concat(), &cookie, &plugin, &[]);
    assert_eq!(results(&run(&[]).ended_with(1))["mtls-certificate"], "fail");

    let skipped = run(&["--skip", "mtls"]).ended_with(0);
    assert_eq!(results(&skipped)["mtls-certificate"], "skip");
    run(&["--skip", "no-such"]).ended_with(2).prints(&["no-such", "--list"]);

    let file = dir.path().join("baseline");
    let baseline = file.to_str().unwrap();
    std::fs::write(&file, "# what we know\nmtls-certificate # until the next release\n\nline-form\n")
        .unwrap();
    let known = run(&["--baseline", baseline]).ended_with(0);
    let json = known.json();
    assert_eq!((&json["conforms"], &json["known"], &json["failed"]), (&true.into(), &1.into(), &0.into()));
    assert_eq!(finding(&known, "mtls-certificate")["result"], "known");
    assert_eq!(json["mended"], serde_json::json!(["line-form"]), "the check passes");
    let junit = dir.path().join("junit.xml");
    let text = conformance(
        &["--only", "mtls-certificate", "--baseline", baseline, "--junit", junit.to_str().unwrap()],
        &cookie,
        &plugin,
        &[],
    );
    text.ended_with(0).prints(&["KNOWN mtls-certificate", "1 known", "conforms"]);
    assert!(std::fs::read_to_string(&junit).unwrap().contains("failures=\"0\""));
    // A failure that is not in the baseline counts.
    std::fs::write(&file, "line-form\n").unwrap();
    run(&["--baseline", baseline]).ended_with(1);

    std::fs::write(&file, "line-form\nmtls\n").unwrap();
    run(&["--baseline", baseline]).ended_with(2).prints(&["no check \\\"mtls\\\", named on line 2"]);
    run(&["--baseline", "/no/such/file"]).ended_with(2).prints(&["/no/such/file cannot be read"]);
}

/// Hosts of CrowdSec generate the value, and its plugins compare the value with itself.
#[test]
fn any_cookie_value_is_accepted_if_hosts_generate_it() {
    let dir = tempfile::tempdir().unwrap();
    let wrapper = format!(
        "[ -n \"$CROWDSEC_PLUGIN_KEY\" ] || {{ echo 'This binary is a plugin.' >&2; exit 1; }}\n\
         BASIC_PLUGIN=hello exec '{}'",
        basic_plugin().display()
    );
    let plugin = script(dir.path(), "plugin", &wrapper);
    let run =
        conformance(&["--json", "--preset", "crowdsec", "--only", "cookie"], &[], &plugin, &[]).ended_with(0);
    let results = results(&run);
    let of = |name: &str| results[name].as_str();
    assert_eq!((of("cookie-missing"), of("cookie-wrong"), of("cookie-message")), ("pass", "skip", "pass"));
}

fn conformance(flags: &[&str], cookie: &[&str], plugin: &Path, args: &[&str]) -> Run {
    with("conformance", flags, cookie, plugin, args)
}

fn with(command: &str, flags: &[&str], cookie: &[&str], plugin: &Path, args: &[&str]) -> Run {
    let before =
        [command].into_iter().chain(cookie.iter().copied()).chain(flags.iter().copied()).chain(["--"]);
    rpcplugin(before.map(Path::new).chain([plugin]).chain(args.iter().map(Path::new)))
}

#[track_caller]
fn finding(run: &Run, name: &str) -> serde_json::Value {
    let json = run.json();
    let findings = json["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["name"] == name).unwrap().clone()
}

#[track_caller]
fn results(run: &Run) -> BTreeMap<String, String> {
    let json = run.json();
    let findings = json["findings"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(&finding["name"]), text(&finding["result"]))).collect()
}
