//! `call --script`.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    program::{Run, peer, rpcplugin},
    running::{Running, kit, kit_proto},
};

/// Runs `call` with a script.
fn call(script: &str, args: &[&str], plugin: &Path) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kv.txt");
    std::fs::write(&file, script).unwrap();
    let words = ["call", "--preset", "kit"].iter().chain(args).chain(&["-f"]).map(OsStr::new);
    rpcplugin(words.chain([file.as_os_str(), plugin.as_os_str()]))
}

/// The conformance plugins in Rust and in Go.
fn kits() -> impl Iterator<Item = PathBuf> {
    [kit(), peer("go", "kit-plugin")].into_iter().flatten()
}

fn lines(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const SCRIPT: &str = r#"
# the value of one response is the request of the next
echoed = Kit/Echo {"data":"aGk="}
Kit/Put {"key":"k", "value":"${echoed.data}"}

kept = Kit/Get {"key":"k"}
counted = Kit/Count {"from":7,"n":3}
Kit/Sum {"value":"${counted[0].value}"} {"value":"${counted[2].value}"}
info = Info
Kit/Chat {"text":"${kept.value} and ${counted[1].value} at ${info.protocol_version}"}
"#;

#[test]
fn a_script_makes_its_calls_in_one_process() {
    for kit in kits() {
        let run = call(SCRIPT, &["--json"], &kit).ended_with(0);
        let mut responses = lines(&run);
        assert_eq!(responses.len(), 10, "{}", run.stdout);
        // Echo, Put, Get, Count, Sum, Info and Chat are calls of one process.
        assert_eq!(responses[7]["calls"], "6", "{}", run.stdout);
        responses.remove(7);
        let expected = [
            json!({ "data": "aGk=" }),
            json!({}),
            json!({ "value": "aGk=" }),
            json!({ "value": "7" }),
            json!({ "value": "8" }),
            json!({ "value": "9" }),
            json!({ "sum": "16", "count": "2" }),
            json!({ "text": "re: aGk= and 8 at 3" }),
            json!({ "seq": "1", "text": "bye" }),
        ]
        .map(without_pad);
        let responses: Vec<Value> = responses.into_iter().map(without_pad).collect();
        assert_eq!(responses, expected);
    }
}

/// Removes the member that `Count` adds.
fn without_pad(mut response: Value) -> Value {
    response.as_object_mut().unwrap().remove("pad");
    response
}

#[test]
fn the_first_call_that_fails_ends_the_script() {
    let failing =
        "Put {\"key\":\"k\"}\n\na = Get {\"key\":\"none\"}\nEcho {\"data\":\"${a.value}\"}\nEcho {}\n";
    for kit in kits() {
        let run = call(failing, &[], &kit).ended_with(1);
        assert_eq!(run.stdout, "{}\n");
        run.prints(&["line 3 of ", "kv.txt: conformance.v1.Kit/Get", "NOT_FOUND (5)"]);
        let all = call(failing, &["--json", "--keep-going"], &kit).ended_with(1);
        let all = lines(&all);
        assert_eq!((all.len(), &all[0], &all[3]), (4, &json!({}), &json!({})));
        assert_eq!(all[1]["error"]["grpc"]["code"], "NOT_FOUND");
        assert_eq!(all[1]["error"]["line"], 3);
        assert_eq!(all[2]["error"]["message"], "no response has the name \"a\"");
        assert_eq!(all[2]["error"]["line"], 4);
    }
}

#[test]
fn the_exit_code_is_that_of_the_first_failure() {
    let Some(kit) = kit() else { return };
    let wrong = "Kit/Ecko {}\nGet {\"key\":\"none\"}\nPanic {\"message\":\"boom\"}\nEcho {}\n";
    let run = call(wrong, &["--keep-going"], &kit).ended_with(2);
    run.prints(&["did you mean conformance.v1.Kit/Echo?", "NOT_FOUND", "UNAVAILABLE", "line 3 of "]);
    let run = call("Panic {\"message\":\"boom\"}\nEcho {}", &["--keep-going"], &kit).ended_with(4);
    assert_eq!(run.stdout, "", "no call is made after the exit of the plugin");
    run.prints(&["has ended: exit status 101", "its log:", "boom"]);
}

#[test]
fn faults_of_requests_have_the_line_and_column_of_the_script() {
    let Some(kit) = kit() else { return };
    let run = call("Info\n  a = Get  {\"kex\":\"k\"}", &[], &kit).ended_with(2);
    run.prints(&["line 2 of ", "unrecognized field name 'kex' (line 2, column 13)", "key (string)"]);
    call("Get {} {}", &[], &kit).ended_with(2).prints(&["the method takes one message"]);
}

#[test]
fn a_script_with_an_invalid_line_makes_no_call() {
    let Some(kit) = kit() else { return };
    let run = call("Info\n1a = Get {}\n", &[], &kit).ended_with(2);
    assert_eq!(run.stdout, "");
    run.prints(&["line 2 of ", "has the invalid name \"1a\""]);
    rpcplugin(["call", "-f", "/nowhere/at/all", "x"]).ended_with(2).prints(&["the script /nowhere/at/all"]);
    let kit = kit.to_str().unwrap();
    rpcplugin(["call", "-f", kit, "kv.txt"]).ended_with(2).prints(&["rpcplugin call -f SCRIPT PLUGIN"]);
    rpcplugin(["call", "-f", "-d", "{}", "-", kit]).ended_with(2).prints(&["cannot be used with"]);
}

/// Each response comes before the next line is read.
#[test]
fn a_script_on_stdin_is_read_line_by_line() {
    for kit in kits() {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
            .args(["call", "--preset", "kit", "--json", "-f", "-"])
            .arg(kit)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut responses = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let mut exchange = |line: &str| {
            writeln!(stdin, "{line}").unwrap();
            serde_json::from_str::<Value>(&responses.next().unwrap()).unwrap()
        };
        assert_eq!(exchange("# said\nsaid = Echo {\"data\":\"aGk=\"}")["data"], "aGk=");
        assert_eq!(exchange("Echo {\"data\":\"${said.data}\"}")["data"], "aGk=");
        assert_eq!(
            exchange("1a = Echo {}")["error"]["message"],
            "line 4 of stdin has the invalid name \"1a\""
        );
        assert_eq!(child.wait().unwrap().code(), Some(2));
    }
}

#[test]
fn a_running_plugin_and_a_plugin_without_reflection_have_scripts_too() {
    let Some(kit) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, request) = (dir.path().join("kv.txt"), dir.path().join("put.json"));
    std::fs::write(&request, "{\"key\":\"${echoed.data}\"}").unwrap();
    let script = format!("echoed = Echo {{\"data\":\"aGk=\"}}\nPut @{}\n", request.display());
    std::fs::write(&file, script + "Get {\"key\":\"aGk=\"}\n").unwrap();
    let file = file.to_str().unwrap();
    let running = Running::start(&["--no-mtls"], &kit);
    let proto = kit_proto();
    for described in [&[][..], &["--proto", proto.to_str().unwrap()]] {
        let reattach = running.reattach();
        let words = ["--json", "attach", &reattach, "call", "--emit-defaults", "-f", file];
        let run = rpcplugin(words.iter().chain(described)).ended_with(0);
        assert_eq!(lines(&run)[2], json!({ "value": "" }));
    }
}
