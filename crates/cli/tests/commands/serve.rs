//! `call --serve`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    program::{Run, peer, rpcplugin},
    running::{kit, kit_proto},
};

const TRANSFORM: &str = r#"{"Transform":{"seq":1,"data":"aGk=","greeting":"canned"}}"#;

/// Runs `call` with a file that has the responses of `HostCalls`.
fn call(responses: &str, args: &[&str], plugin: &Path) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("host.json");
    std::fs::write(&file, responses).unwrap();
    let serve = format!("HostCalls={}", file.display());
    let words = ["call", "--preset", "kit", "--serve", &serve];
    rpcplugin(words.iter().chain(args).chain(&[plugin.to_str().unwrap()]))
}

fn kits() -> impl Iterator<Item = PathBuf> {
    [kit(), peer("go", "kit-plugin")].into_iter().flatten()
}

/// Checks the response of `Callback` and what was printed about the call of the plugin.
fn called_back(run: &Run) {
    let response = run.json();
    assert_eq!((&response["results"], &response["greeting"]), (&json!(["aGk="]), &json!("canned")));
    let printed = "the plugin called conformance.v1.HostCalls/Transform {\"data\":\"AAE=\"}";
    assert!(run.stderr.contains(printed), "{}", run.stderr);
}

#[test]
fn a_plugin_calls_a_service_with_canned_responses() {
    let proto = kit_proto();
    let proto = proto.to_str().unwrap();
    for kit in kits() {
        for options in [&[][..], &["--mux"], &["--no-mtls"], &["--proto", proto]] {
            let request = ["--json", "Callback", "-d", r#"{"calls":1,"data":"AAE="}"#];
            called_back(&call(TRANSFORM, &[&request, options].concat(), &kit).ended_with(0));
        }
        let by_name = r#"{"calls":1,"data":"AAE=","brokerId":"${serve.HostCalls}"}"#;
        called_back(&call(TRANSFORM, &["--json", "Callback", "-d", by_name], &kit).ended_with(0));
    }
}

/// A plugin in Go can dial an id once: each line has an id of its own.
#[test]
fn every_line_of_a_script_can_have_callbacks() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("kv.txt");
    let lines = r#"
said = Callback {"calls":1,"data":"AAE="}
Callback {"calls":1,"data":"${said.results[0]}","broker_id":"${serve.HostCalls}"}
Echo {"data":"${said.results[0]}"}
"#;
    std::fs::write(&script, lines).unwrap();
    for kit in kits() {
        let run = call(TRANSFORM, &["--json", "-f", script.to_str().unwrap()], &kit).ended_with(0);
        let responses: Vec<Value> =
            run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(responses[1]["results"], json!(["aGk="]));
        assert_eq!(responses[2], json!({ "data": "aGk=" }));
        run.prints(&["HostCalls/Transform {\"data\":\"AAE=\"}", "HostCalls/Transform {\"data\":\"aGk=\"}"]);
    }
}

#[test]
fn a_method_without_a_response_is_unimplemented() {
    for kit in kits() {
        let run = call("{}", &["Callback", "-d", r#"{"calls":1}"#], &kit).ended_with(1);
        run.prints(&["UNIMPLEMENTED", "HostCalls/Transform, which has no response"]);
    }
}

#[test]
fn a_field_that_may_be_a_broker_id_is_named_if_nothing_is_served() {
    let Some(kit) = peer("go", "kit-plugin") else { return };
    let kit = kit.to_str().unwrap();
    let words = ["call", "--json", "Callback", "-d", r#"{"brokerId":7,"calls":1}"#, kit];
    let error = rpcplugin(words).ended_with(1).json();
    let help = error["error"]["help"].as_str().unwrap();
    assert!(help.contains("broker_id may be the id") && help.contains("--serve SERVICE=FILE"), "{error}");
    // Other failures have another cause.
    let words = ["call", "--json", "Get", "-d", r#"{"key":"none"}"#, kit];
    assert_eq!(rpcplugin(words).ended_with(1).json()["error"]["help"], Value::Null);
}

#[test]
fn invalid_responses_are_usage_errors() {
    let Some(kit) = kit() else { return };
    let request = ["Callback", "-d", "{\"calls\":1}"];
    for (responses, words) in [
        ("[]", &["host.json has no responses"][..]),
        (r#"{"Transfrom":{}}"#, &["has no method Transfrom", "Transform"]),
        (r#"{"Transform":{"sequence":1}}"#, &["the response of Transform is invalid", "sequence"]),
    ] {
        call(responses, &request, &kit).ended_with(2).prints(words);
    }
    call(TRANSFORM, &["Echo", "-d", "{}"], &kit)
        .ended_with(2)
        .prints(&["no field for the id of HostCalls", "${serve.HostCalls}"]);
    call(TRANSFORM, &["Callback", "-d", r#"{"brokerId":"${serve.Other}"}"#], &kit)
        .ended_with(2)
        .prints(&["a service that is not served", "${serve.HostCalls}"]);
    let kit = kit.to_str().unwrap();
    rpcplugin(["call", "Callback", "--serve", "HostCalls=/no/file", kit]).ended_with(2).prints(&["/no/file"]);
    rpcplugin(["call", "Callback", "--serve", "HostCalls", kit]).ended_with(2).prints(&["SERVICE=FILE"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("host.json");
    std::fs::write(&file, TRANSFORM).unwrap();
    let serve = format!("Other={}", file.display());
    rpcplugin(["call", "Callback", "-d", "{}", "--serve", &serve, kit])
        .ended_with(2)
        .prints(&["there is no description of the service Other"]);
    let other = format!("b.{serve}");
    rpcplugin(["call", "Callback", "--serve", &serve, "--serve", &other, kit])
        .ended_with(2)
        .prints(&["two services have the name Other"]);
    let script = dir.path().join("kv.txt");
    std::fs::write(&script, r#"Callback {"brokerId":"${serve.HostCalls}"}"#).unwrap();
    rpcplugin(["call", "-f", script.to_str().unwrap(), kit])
        .ended_with(2)
        .prints(&["a service that is not served", "--serve SERVICE=FILE"]);
}
