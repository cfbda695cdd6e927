//! What a tap writes.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{bridged::PROGRAM, peers::plugin, program::rpcplugin};

/// Calls a method of a Go plugin behind a tap. Returns the exit code and what the tap wrote.
fn call(method: &str, data: &str, options: &[&str]) -> Option<(Option<i32>, String)> {
    let plugin = plugin("go")?;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("shown");
    let words =
        ["call", method, "-d", data, "--preset", "kit", "-H", "x-kit-token: hush", "--", PROGRAM, "tap"];
    let words = words.iter().chain(options).map(|word| (*word).to_owned());
    let output = ["--output".to_owned(), file.to_str().unwrap().to_owned(), "--".to_owned()];
    let run = rpcplugin(words.chain(output).chain(plugin));
    Some((run.code, fs::read_to_string(&file).unwrap_or_else(|_| panic!("{}", run.stderr))))
}

fn events(shown: &str) -> Vec<Value> {
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn event<'e>(events: &'e [Value], kind: &str, from: &str, method: &str) -> &'e Value {
    let found = events.iter().find(|event| {
        let is = |name: &str, value: &str| event[name] == value;
        is("kind", kind) && is("from", from) && is("method", method)
    });
    found.unwrap_or_else(|| panic!("{kind} {from} {method}: {events:#?}"))
}

const PUT: &str = r#"{"key":"sésame","value":"aGlkZGVu"}"#;

#[test]
fn texts_bytes_and_metadata_are_shown_by_their_lengths() {
    let Some((code, shown)) = call("Put", PUT, &[]) else { return };
    assert_eq!(code, Some(0), "{shown}");
    for text in [
        "main → ",
        "conformance.v1.Kit/Put call x-kit-token=<4 bytes>",
        r#"conformance.v1.Kit/Put 17 B {"key":"<6 characters>","value":"<6 bytes>"}"#,
        "conformance.v1.Kit/Put OK after ",
        "plugin ← exited: exit status 0",
    ] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    for secret in ["sésame", "aGlkZGVu", "hidden", "hush"] {
        assert!(!shown.contains(secret), "{secret}\n{shown}");
    }
}

#[test]
fn values_are_shown_where_a_person_asks_for_them() {
    let Some((_, shown)) = call("Put", PUT, &["--json", "--show-values"]) else { return };
    let events = events(&shown);
    let (put, of) =
        ("conformance.v1.Kit/Put", |kind, from| event(&events, kind, from, "conformance.v1.Kit/Put").clone());
    assert_eq!(of("message", "host")["message"], json!({ "key": "sésame", "value": "aGlkZGVu" }), "{put}");
    assert_eq!(of("message", "host")["bytes"], 17);
    let metadata = of("call", "host")["metadata"].clone();
    assert!(metadata.as_array().unwrap().contains(&json!(["x-kit-token", "hush"])), "{metadata}");
    let status = of("status", "plugin");
    assert_eq!((&status["code"], &status["name"]), (&json!(0), &json!("OK")));
    assert_eq!(events[0]["kind"], "started");
    let handshake = events.iter().find(|event| event["kind"] == "handshake").unwrap();
    assert_eq!((&handshake["security"], &handshake["network"]), (&json!("auto_mtls"), &json!("unix")));
    assert_eq!(events.last().unwrap()["kind"], "exited");
    assert_eq!(events.last().unwrap()["status"], 0);
}

#[test]
fn a_status_is_shown_with_its_message_and_the_length_of_its_details() {
    let fail = r#"{"code":9,"message":"not yet: 100% ü","note":"why"}"#;
    let Some((code, shown)) = call("Fail", fail, &["--json", "--only", "Kit/Fail"]) else { return };
    assert_eq!(code, Some(1), "{shown}");
    let events = events(&shown);
    let status = event(&events, "status", "plugin", "conformance.v1.Kit/Fail");
    assert_eq!((&status["code"], &status["name"]), (&json!(9), &json!("FAILED_PRECONDITION")));
    assert_eq!(status["message"], "not yet: 100% ü");
    assert!(status["details_bytes"].as_u64().unwrap() > 20, "{status}");
    let others = events.iter().filter(|event| !event["method"].is_null());
    assert!(
        others.clone().count() > 2
            && others.clone().all(|event| event["method"] == "conformance.v1.Kit/Fail")
    );
}

/// The file has secrets with `--show-values`.
#[test]
fn only_this_user_can_read_a_new_file_and_further_runs_append_to_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(plugin) = plugin("go") else { return };
    let dir = tempfile::tempdir().unwrap();
    let run = |output: &Path| {
        let words =
            ["call", "Info", "--preset", "kit", "--", PROGRAM, "tap", "-o", output.to_str().unwrap(), "--"];
        rpcplugin(words.iter().map(|word| (*word).to_owned()).chain(plugin.clone())).ended_with(0);
    };
    run(dir.path());
    let file = fs::read_dir(dir.path()).unwrap().flatten().next().unwrap().path();
    assert!(file.file_name().unwrap().to_str().unwrap().starts_with("kit-plugin.tap-"), "{file:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let once = fs::read_to_string(&file).unwrap();
    run(&file);
    let twice = fs::read_to_string(&file).unwrap();
    assert!(twice.starts_with(&once) && twice.matches(" exited: ").count() == 2, "{twice}");
}
