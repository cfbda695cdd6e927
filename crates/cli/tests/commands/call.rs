//! `call`.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    program::{Run, peer, rpcplugin},
    running::{kit, kit_proto},
};

fn call(args: &[&str], plugin: &Path) -> Run {
    rpcplugin(["call"].iter().chain(args).map(OsStr::new).chain([plugin.as_os_str()]))
}

/// Returns the printed lines of JSON.
fn lines(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn all_four_kinds_of_method_are_called() {
    let Some(kit) = kit() else { return };
    let one = call(&["Kit/Echo", "-d", r#"{"data":"aGk="}"#], &kit).ended_with(0).json();
    assert_eq!(one, json!({ "data": "aGk=" }));
    let down = call(&["conformance.v1.Kit/Count", "-d", r#"{"from":7,"n":3}"#], &kit).ended_with(0);
    let values: Vec<Value> = lines(&down).into_iter().map(|line| line["value"].clone()).collect();
    assert_eq!(values, ["7", "8", "9"]);
    let up = call(&["Sum", "-d", r#"{"value":1} {"value":"41"}"#], &kit).ended_with(0).json();
    assert_eq!(up, json!({ "sum": "42", "count": "2" }));
    let both = call(&["Chat", "-d", r#"{"seq":1,"text":"a"}"#], &kit).ended_with(0);
    assert_eq!(lines(&both), [json!({ "seq": "1", "text": "re: a" }), json!({ "seq": "1", "text": "bye" })]);
}

/// Each request is sent at once, and its response comes before the next request.
#[test]
fn requests_are_read_from_stdin_one_by_one() {
    let Some(kit) = kit() else { return };
    let mut child = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
        .args(["call", "Kit/Chat"])
        .arg(kit)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    for text in ["one", "two"] {
        writeln!(stdin, r#"{{"text":"{text}"}}"#).unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap()).unwrap();
        assert_eq!(answer["text"], format!("re: {text}"));
    }
    drop(stdin);
    assert!(answers.next().unwrap().contains("bye"));
    assert!(child.wait().unwrap().success());
}

#[test]
fn metadata_defaults_and_request_files() {
    let Some(kit) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("request.json");
    std::fs::write(&file, r#"{"key":"k"}"#).unwrap();
    let data = format!("@{}", file.display());
    let put = call(&["Put", "-d", &data, "--emit-defaults"], &kit).ended_with(0).json();
    assert_eq!(put, json!({ "replaced": false }));
    let args = ["Echo", "-d", "{}", "-H", "x-kit-a: b", "-H", "x-kit-c-bin: AAE", "--show-metadata"];
    let run = call(&args, &kit).ended_with(0);
    run.prints(&["header x-kit-a: b", "header x-kit-c-bin: AAE=", "trailer x-kit-trailer-a: b"]);
}

#[test]
fn a_failed_call_shows_code_message_and_details() {
    let Some(kit) = kit() else { return };
    let fail = ["Fail", "-d", r#"{"code":9,"message":"not now","note":"why"}"#];
    call(&fail, &kit).ended_with(1).prints(&["FAILED_PRECONDITION (9)", "not now", "\"note\": \"why\""]);
    let error = call(&[&["--json"], &fail[..]].concat(), &kit).ended_with(1).json();
    assert_eq!(error["error"]["grpc"], json!({ "code": "FAILED_PRECONDITION", "number": 9 }));
    let detail = &error["error"]["details"][0];
    assert_eq!(detail["@type"], "type.googleapis.com/conformance.v1.FailDetail");
    assert_eq!(detail["note"], "why");
    let late = call(&["Sleep", "-d", r#"{"ms":60000}"#, "--deadline", "300ms"], &kit).ended_with(1);
    late.prints(&["DEADLINE_EXCEEDED"]);
}

#[test]
fn a_plugin_that_exits_during_the_call_is_reported() {
    let Some(kit) = kit() else { return };
    let run = call(&["Panic", "-d", r#"{"message":"boom"}"#], &kit).ended_with(4);
    run.prints(&["UNAVAILABLE", "has ended: exit status 101", "its log:", "boom"]);
}

/// Returns the member names of an error, and the error.
fn shape(run: &Run) -> (Vec<String>, Value) {
    assert_eq!(run.stdout.lines().count(), 1, "a document is one line: {}", run.stdout);
    let error = run.json()["error"].clone();
    let names = error.as_object().unwrap().keys().cloned().collect();
    (names, error)
}

/// Errors of a call and of the program have the same members.
#[test]
fn all_errors_have_the_same_members() {
    let Some(kit) = peer("go", "kit-plugin") else { return };
    let of_the_call =
        call(&["--json", "--preset", "kit", "Get", "-d", r#"{"key":"none"}"#], &kit).ended_with(1);
    let (names, error) = shape(&of_the_call);
    assert_eq!((&error["kind"], &error["code"]), (&json!("call"), &Value::Null));
    assert_eq!(error["grpc"], json!({ "code": "NOT_FOUND", "number": 5 }));
    assert_eq!(error["message"], "no such key: none");

    let of_its_end =
        call(&["--json", "--preset", "kit", "Panic", "-d", r#"{"message":"boom"}"#], &kit).ended_with(4);
    let (same, error) = shape(&of_its_end);
    assert_eq!(same, names);
    assert_eq!((&error["kind"], &error["grpc"]["code"]), (&json!("call"), &json!("UNAVAILABLE")));
    assert_eq!(error["code"], "rpcplugin::transport::plugin_ended");
    assert!(error["evidence"][0].as_str().unwrap().contains("boom"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("it panicked"), "{error}");

    for (args, code, exit) in [
        (&["--json", "--preset", "kit", "Ecko"][..], "rpcplugin::protocol::no_such_method", 2),
        (&["--json", "--no-such-flag"], "rpcplugin::config::invalid_arguments", 2),
        (&["--json", "--cookie", "A=b", "Get"], "rpcplugin::handshake::cookie_refused", 3),
    ] {
        let run = call(args, &kit).ended_with(exit);
        let (same, error) = shape(&run);
        assert_eq!(same, names, "{args:?}");
        assert_eq!((&error["kind"], &error["code"]), (&json!("program"), &json!(code)), "{args:?}");
        assert_eq!((&error["grpc"], &error["details"]), (&Value::Null, &json!([])), "{args:?}");
    }
    let (same, _) = shape(&rpcplugin(["--json", "inspect", "/nowhere/at/all"]).ended_with(3));
    assert_eq!(same, names);
}

#[test]
fn a_plugin_before_the_method_is_a_usage_error() {
    let Some(kit) = peer("go", "kit-plugin") else { return };
    let kit = kit.to_str().unwrap();
    let line = format!("rpcplugin call Kit/Echo {kit}");
    let run = rpcplugin(["call", "-d", "{}", kit, "Kit/Echo"]).ended_with(2);
    run.prints(&["is a program, not a method", &line]);
    let run = rpcplugin(["--json", "call", kit, "Kit/Echo", "serve"]).ended_with(2).json();
    assert!(run["error"]["help"].as_str().unwrap().ends_with(&format!("{line} serve")), "{run}");
    // A missing program is not a swap.
    rpcplugin(["call", "Kit/Echo", "/nowhere/at/all"]).ended_with(3).prints(&["there is no program"]);
}

#[test]
fn invalid_methods_and_requests_are_usage_errors() {
    let Some(kit) = kit() else { return };
    call(&["Kit/Ecko"], &kit)
        .ended_with(2)
        .prints(&["rpcplugin::protocol::no_such_method", "did you mean conformance.v1.Kit/Echo?"]);
    call(&["Get", "-d", r#"{"kex":"k"}"#], &kit)
        .ended_with(2)
        .prints(&["unrecognized field name 'kex'", "use the fields of the message: key (string)"]);
    call(&["Get", "-d", "{} {}"], &kit).ended_with(2).prints(&["the method takes one message"]);
    call(&["Chat", "-d", "{} {"], &kit).ended_with(2).prints(&["the request is not valid JSON"]);
    call(&["Get", "-H", "no colon"], &kit).ended_with(2);
    call(&["Info", "--timeout", "0s"], &kit)
        .ended_with(2)
        .prints(&["'--timeout <TIME>'", "between 1ms and 24h"]);
}

#[test]
fn an_ambiguous_name_is_a_usage_error() {
    let Some(provider) = crate::running::of_the_tests("terraform-provider-demo") else { return };
    let proto = kit_proto();
    let proto = proto.to_str().unwrap();
    let own = provider.parent().unwrap().join("kit-plugin");
    // Two services with the same method name.
    let dir = tempfile::tempdir().unwrap();
    let two = dir.path().join("two.proto");
    let text = "syntax = \"proto3\"; package t; message M {} service A { rpc Do(M) returns (M); } service B { rpc Do(M) returns (M); }";
    std::fs::write(&two, text).unwrap();
    let run = call(&["Do", "--proto", two.to_str().unwrap()], &own).ended_with(2);
    run.prints(&["rpcplugin::protocol::ambiguous_method", "t.A/Do, t.B/Do"]);
    call(&["A/Do", "--proto", two.to_str().unwrap()], &own).ended_with(1).prints(&["UNIMPLEMENTED"]);
    assert!(call(&["Info", "--proto", proto], &own).ended_with(0).json()["pid"].is_string());
}

#[test]
fn values_of_terraform_are_json() {
    let Some(provider) = crate::running::of_the_tests("terraform-provider-demo") else { return };
    let read = |config: &str| {
        let request = format!(r#"{{"typeName":"demo_echo","config":{{"msgpack":{config}}}}}"#);
        call(&["Provider/ReadDataSource", "-d", &request], &provider).ended_with(0).json()
    };
    let state = json!({ "state": { "msgpack": { "text": "hé", "upper": "HÉ", "length": 2 } } });
    assert_eq!(read(r#"{"text": "hé", "upper": null, "length": null}"#), state);
    // The same value as bytes.
    assert_eq!(read(r#""g6R0ZXh0o2jDqaV1cHBlcsCmbGVuZ3RowA==""#), state);
}

#[test]
fn methods_of_go_and_python_plugins_are_called() {
    if let Some(plugin) = peer("go", "kit-plugin") {
        let both = call(&["Chat", "-d", r#"{"seq":1}{"seq":2}"#], &plugin).ended_with(0);
        assert_eq!(lines(&both).len(), 3);
        call(&["Get", "-d", r#"{"key":"none"}"#], &plugin)
            .ended_with(1)
            .prints(&["NOT_FOUND (5)", "no such key"]);
    }
    let Some(python) = peer("python", "bin/python") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python/kit_plugin.py");
    let script = script.to_str().unwrap();
    let python = python.to_str().unwrap();
    let proto = kit_proto();
    let described = ["call", "Info", "--preset", "kit", "--proto", proto.to_str().unwrap(), python, script];
    assert_eq!(rpcplugin(described).ended_with(0).json()["protocolVersion"], 3);
    rpcplugin(["call", "Info", "--preset", "kit", python, script])
        .ended_with(2)
        .prints(&["rpcplugin::protocol::methods_unknown", "--proto FILE"]);
}
