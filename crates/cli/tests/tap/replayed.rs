//! `tap --record` and `replay`, with hosts in Go and Rust.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    bridged::PROGRAM,
    peers::{host, plugin},
    program::{Run, rpcplugin},
};

fn call(method: &str, data: &str, record: &Path) {
    let Some(plugin) = plugin("go") else { return };
    let words = [
        "call",
        method,
        "-d",
        data,
        "--preset",
        "kit",
        "-H",
        "x-kit-a: b",
        "--",
        PROGRAM,
        "tap",
        "-o",
        "/dev/null",
        "--record",
    ];
    let words = words.iter().map(|word| (*word).to_owned());
    let record = [record.to_str().unwrap().to_owned(), "--".to_owned()];
    rpcplugin(words.chain(record).chain(plugin));
}

fn replay(options: &[&str], record: &Path, plugin: &[String]) -> Run {
    let words = ["replay"].iter().chain(options).map(|word| (*word).to_owned());
    let record = [record.to_str().unwrap().to_owned(), "--preset=kit".to_owned(), "--".to_owned()];
    rpcplugin(words.chain(record).chain(plugin.iter().cloned()))
}

#[test]
fn the_same_plugin_answers_a_recording_in_the_same_way() {
    let Some(plugin) = plugin("go") else { return };
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    for (method, data) in [
        ("Put", r#"{"key":"sésame","value":"aGlkZGVu"}"#),
        ("Count", r#"{"from":7,"n":300,"padBytes":2000}"#),
        ("Chat", r#"{"seq":1,"text":"a"} {"seq":2,"text":"b"}"#),
        ("Fail", r#"{"code":9,"message":"not yet: 100% ü","note":"why"}"#),
    ] {
        call(method, data, &record);
    }
    assert_eq!(fs::metadata(&record).unwrap().permissions().mode() & 0o777, 0o600);
    for (run, method) in [("1", "Put"), ("2", "Count"), ("3", "Chat"), ("4", "Fail")] {
        let method = format!("same conformance.v1.Kit/{method}");
        let replayed = replay(&["--run", run], &record, &plugin).ended_with(0);
        replayed.prints(&[&method, "1 the same, 0 different, 0 left out"]);
    }
    replay(&["--run", "5"], &record, &plugin).ended_with(2).prints(&["has 4 runs of a plugin", "--run"]);
}

#[test]
fn an_answer_that_differs_is_shown() {
    let Some(plugin) = plugin("go") else { return };
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    // The plugin of the recording had another pid.
    call("Info", "{}", &record);
    let run = replay(&["--json"], &record, &plugin).ended_with(1);
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["kind"], &lines[0]["method"]),
        (&json!("different"), &json!("conformance.v1.Kit/Info"))
    );
    let text = lines[0]["differences"][0].as_str().unwrap();
    assert!(text.starts_with("response 1 was {") && text.contains("characters>"), "{text}");
    assert_eq!(lines[1], json!({ "kind": "end", "same": 0, "different": 1, "left_out": 0 }));
    replay(&["--show-values"], &record, &plugin).ended_with(1).prints(&["different", "go-plugin"]);
}

/// A whole check of a host, whose brokered services the replay does not have.
#[test]
fn the_calls_of_a_real_host_are_made_again() {
    let (Some(host), Some(plugin)) = (host("go"), plugin("rust")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    let mut command = Command::new(&host[0]);
    command.args(["check", "--auto-mtls", "--", PROGRAM, "tap", "--record"]).arg(&record).arg("--output");
    command.arg(dir.path()).arg("--").args(&plugin).stdin(Stdio::null());
    assert!(command.output().unwrap().status.success());
    let run = replay(&["--run", "1", "--json"], &record, &plugin);
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert!(of("same") >= 20, "{}", run.stdout);
    // The pid and the number of cancelled calls, and variables that this host does not set.
    for line in lines.iter().filter(|line| line["kind"] == "different") {
        let method = line["method"].as_str().unwrap();
        assert!(["conformance.v1.Kit/Info", "conformance.v1.Kit/Env"].contains(&method), "{line}");
    }
}
