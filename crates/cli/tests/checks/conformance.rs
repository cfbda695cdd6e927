//! `conformance`: correct plugins pass, and each fault fails the right check.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::program::{Run, basic_plugin, eventually, peer, rpcplugin, script, start};

const COOKIE: [&str; 2] = ["--cookie", "BASIC_PLUGIN=hello"];

#[test]
fn a_rust_plugin_passes_all_checks() {
    let junit = tempfile::NamedTempFile::new().unwrap();
    let run = check(&["--json", "--jobs", "4", "--junit", junit.path().to_str().unwrap()], &basic_plugin());
    let results = results(&run.ended_with(0));
    let not_passed: Vec<_> = results.iter().filter(|(_, result)| *result != "pass").collect();
    // The checks of level INFO, and those that do not apply to Unix sockets.
    let expected = [
        "disconnected",
        "host-death",
        "mux-host-gone",
        "reflection",
        "sigterm-orderly",
        "socket-long-path",
        "start-time",
        "tcp-loopback",
        "tcp-ports",
    ];
    assert!(not_passed.iter().map(|(name, _)| name.as_str()).eq(expected), "{not_passed:?}");
    let xml = std::fs::read_to_string(junit.path()).unwrap();
    let cases = xml.matches("<testcase ").count();
    assert_eq!(
        (cases, xml.matches("<failure").count(), xml.matches("<skipped").count()),
        (results.len(), 0, 2)
    );
}

#[test]
fn a_go_plugin_passes_all_checks() {
    let Some(plugin) = peer("go", "kit-plugin") else { return };
    let run = rpcplugin(
        ["conformance", "--json", "--jobs", "4", "--"].map(Path::new).iter().chain([&plugin.as_path()]),
    );
    let results = results(&run.ended_with(0));
    assert!(results.values().all(|result| *result != "fail"), "{results:?}");
    assert_eq!((results["mux-mtls"].as_str(), results["shutdown"].as_str()), ("pass", "pass"));
}

/// pyvider serves every client with TLS, and ignores the socket directory.
#[test]
fn a_python_plugin_fails_the_checks_that_it_breaks() {
    let Some(python) = peer("python", "bin/python") else { return };
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python/kit_plugin.py");
    let only =
        "cookie-missing,line-form,mtls-serves,mtls-refuses-unknown,mtls-refuses-plain,socket-directory,mux";
    let args = ["conformance", "--json", "--preset", "kit", "--jobs", "3", "--only", only, "--"];
    let run = rpcplugin(args.map(Path::new).into_iter().chain([python.as_path(), plugin.as_path()]));
    let results = results(&run.ended_with(1));
    let expected = [
        ("cookie-missing", "pass"),
        ("line-form", "pass"),
        ("mtls-refuses-plain", "pass"),
        ("mtls-refuses-unknown", "fail"),
        ("mtls-serves", "pass"),
        ("mux", "skip"),
        ("mux-host-gone", "skip"),
        ("mux-mtls", "skip"),
        ("mux-shutdown", "skip"),
        ("socket-directory", "fail"),
    ];
    assert_eq!(results, expected.map(|(name, result)| (name.to_owned(), result.to_owned())).into());
}

#[test]
fn each_fault_fails_its_check() {
    // A check, and a wrapper script of a correct plugin that breaks it.
    let faults = [
        ("cookie-missing", "export BASIC_PLUGIN=hello; exec \"$PLUGIN\""),
        ("line-form", "echo Welcome; exec \"$PLUGIN\""),
        ("line-no-unasked-mux", "PLUGIN_MULTIPLEX_GRPC=true exec \"$PLUGIN\""),
        ("version-list", "PLUGIN_PROTOCOL_VERSIONS=${PLUGIN_PROTOCOL_VERSIONS%%,*} exec \"$PLUGIN\""),
        ("mtls-certificate", "unset PLUGIN_CLIENT_CERT; exec \"$PLUGIN\""),
        ("log-members", "echo '{\"@message\":1}' >&2; exec \"$PLUGIN\""),
        ("shutdown", "\"$PLUGIN\"; exit 3"),
        ("sigterm", "trap '' TERM; \"$PLUGIN\" & wait; sleep 30"),
        ("sigint-ignored", "\"$PLUGIN\" & trap 'exit 2' INT; wait"),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, wrapper) in faults {
        let wrapper = format!("PLUGIN='{}'\n{wrapper}", basic_plugin().display());
        let path = script(dir.path(), name, &wrapper);
        let run = check(&["--json", "--only", name], &path).ended_with(1);
        assert_eq!(results(&run)[name], "fail", "{name}: {}", run.stdout);
    }
}

/// Plugins made with go-plugin before 1.5 ignore the socket directory, and hosts work with them.
#[test]
fn a_socket_in_another_directory_is_only_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let wrapper = format!("unset PLUGIN_UNIX_SOCKET_DIR; exec '{}'", basic_plugin().display());
    let path = script(dir.path(), "elsewhere", &wrapper);
    let run = check(&["--only", "socket-directory"], &path).ended_with(0);
    run.prints(&["WARN  socket-directory", "the plugin listens on", "go-plugin 1.5", "1 warnings"]);
}

/// Go hosts read such a record as text, and send no empty variables.
#[test]
fn another_timestamp_and_an_empty_variable_that_counts_are_only_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let faults = [
        ("log-timestamp", "echo '{\"@timestamp\":\"2026-11-20T14:00:58Z\"}' >&2"),
        (
            "line-empty-variables",
            "[ \"${PLUGIN_MULTIPLEX_GRPC-unset}\" ] || export PLUGIN_MULTIPLEX_GRPC=true",
        ),
    ];
    for (name, fault) in faults {
        let path = script(dir.path(), name, &format!("{fault}\nexec '{}'", basic_plugin().display()));
        let run = check(&["--only", name], &path).ended_with(0);
        run.prints(&[&*format!("WARN  {name}"), "1 warnings"]);
    }
}

/// A plugin in plain Python that returns UNIMPLEMENTED for every call.
const SERVES_NOTHING: &str = r#"
import socket, threading

def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

def field(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

STATUS = b"\x88" + field(b"content-type", b"application/grpc") + field(b"grpc-status", b"12")

def serve(connection):
    stream = connection.makefile("rb")
    stream.read(24)
    connection.sendall(frame(4, 0, 0))
    while head := stream.read(9):
        payload = stream.read(int.from_bytes(head[:3], "big"))
        kind, flags, number = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind == 1:
            connection.sendall(frame(1, 5, number, STATUS))
        if kind in (4, 6) and not flags & 1:
            connection.sendall(frame(kind, 1, 0, payload if kind == 6 else b""))

listener = socket.create_server(("127.0.0.1", 0))
print(f"1|1|tcp|127.0.0.1:{listener.getsockname()[1]}|grpc", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

/// A plugin may leave out the broker.
#[test]
fn a_plugin_without_a_broker_gets_no_warning() {
    let Some(python) = peer("python", "bin/python") else { return };
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("nothing.py");
    std::fs::write(&script, SERVES_NOTHING).unwrap();
    let args = ["conformance", "--json", "--cookie", "A=b", "--only", "broker,stdio,unknown-method", "--"];
    let run = rpcplugin(args.map(Path::new).into_iter().chain([python.as_path(), script.as_path()]));
    let results = results(&run);
    let result = |name: &str| results[name].as_str();
    assert_eq!((result("broker"), result("unknown-method")), ("skip", "pass"), "{}", run.stdout);
    // Without stdio, output is lost, and `stdio-again` has no stream to open.
    assert_eq!((result("stdio"), result("stdio-again")), ("fail", "skip"), "{}", run.stdout);
}

/// Go hosts trim the line, so CR LF is not a failure.
#[test]
fn a_line_that_ends_with_cr_lf_is_only_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let path = script(dir.path(), "windows", "printf '1|2|tcp|127.0.0.1:1|grpc|\\r\\n'; exec sleep 30");
    let run = check(&["--only", "line-form,line-fields"], &path).ended_with(0);
    run.prints(&["PASS  line-form", "WARN  line-fields", "CR LF", "1 warnings"]);
}

#[test]
fn a_failure_is_printed_with_rule_and_advice() {
    let run = check(&["--only", "line-form"], Path::new("/bin/ls")).ended_with(1);
    run.prints(&[
        "FAIL  line-form",
        "MUST:",
        "do: Print nothing on stdout before the line",
        "ls does not conform",
    ]);
}

#[test]
fn no_mtls_skips_the_checks_of_tls() {
    let run =
        check(&["--json", "--no-mtls", "--only", "mtls-serves,shutdown"], &basic_plugin()).ended_with(0);
    let results = results(&run);
    let result = |name: &str| results[name].as_str();
    assert_eq!(
        (result("mtls-serves"), result("shutdown"), result("shutdown-mtls")),
        ("skip", "pass", "skip")
    );
}

#[test]
fn an_interrupted_program_kills_its_plugin() {
    for signal in [Signal::INT, Signal::TERM] {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        // Renamed after writing, so that the file is complete when it appears.
        let record = format!("echo $$ > {0}.part; mv {0}.part {0}; exec sleep 60", pid.display());
        let plugin = script(dir.path(), "plugin", &record);
        let mut program =
            start(["conformance", "--cookie", "A=b", "--"].map(Path::new).into_iter().chain([&*plugin]));
        let pid = eventually(|| std::fs::read_to_string(&pid).ok());
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        let own = Pid::from_raw(program.id().try_into().unwrap()).unwrap();
        kill_process(own, signal).unwrap();
        let status = eventually(|| program.try_wait().unwrap());
        assert_eq!(status.code(), Some(130));
        eventually(|| is_gone(pid).then_some(()));
    }
}

#[test]
fn an_interrupted_run_prints_its_results_so_far() {
    let dir = tempfile::tempdir().unwrap();
    let junit = dir.path().join("findings.xml");
    let mut program = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
        .args(["conformance", "--junit"])
        .arg(&junit)
        .args(COOKIE)
        .arg(basic_plugin())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(program.stdout.take().unwrap());
    let mut printed = String::new();
    stdout.read_line(&mut printed).unwrap();
    kill_process(Pid::from_child(&program), Signal::INT).unwrap();
    stdout.read_to_string(&mut printed).unwrap();
    assert_eq!(program.wait().unwrap().code(), Some(130));
    assert!(printed.starts_with("PASS") && printed.contains("was not checked completely"), "{printed}");
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(junit.contains("cookie-missing") && junit.contains("<error message="), "{junit}");
}

#[test]
fn an_unwritable_junit_file_is_an_error_before_the_checks_run() {
    let run = check(&["--junit", "/nowhere/at/all.xml"], &basic_plugin()).ended_with(2);
    assert_eq!(run.stdout, "");
    run.prints(&["/nowhere/at/all.xml cannot be written"]);
}

/// `doctor` also prints its steps so far.
#[test]
fn an_interruption_is_reported_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let is_up = dir.path().join("up");
    let silent = script(dir.path(), "silent", &format!("touch {}\nexec sleep 600", is_up.display()));
    for command in ["doctor", "run"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
            .args(["--json", command])
            .arg(&silent)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        eventually(|| is_up.exists().then_some(()));
        std::fs::remove_file(&is_up).unwrap();
        kill_process(Pid::from_child(&program), Signal::INT).unwrap();
        let mut stdout = String::new();
        program.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        assert_eq!(program.wait().unwrap().code(), Some(130), "{stdout}");
        let printed: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        match command {
            "doctor" => {
                assert_eq!(
                    (&printed["interrupted"], &printed["healthy"]),
                    (&true.into(), &serde_json::Value::Null)
                );
                assert_eq!(printed["steps"][0]["step"], "file");
            }
            _ => assert_eq!(printed["error"]["code"], "rpcplugin::base::interrupted"),
        }
    }
}

/// Whether a process has exited, reaped or not.
fn is_gone(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    match stat {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => test_kill_process(pid).is_err(),
    }
}

#[test]
fn all_checks_are_listed() {
    rpcplugin(["conformance", "--list"]).ended_with(0).prints(&["MUST", "cookie-missing", "mux-shutdown"]);
    let list = rpcplugin(["conformance", "--list", "--json", "--cookie", "A=b"]).ended_with(0).json();
    assert_eq!(list[0]["name"], "cookie-missing");
    rpcplugin(["conformance"]).ended_with(2).prints(&["the plugin is missing"]);
}

#[test]
fn invalid_arguments_are_usage_errors() {
    check(&["--only", "no-such-check"], &basic_plugin()).ended_with(2).prints(&["no-such-check", "--list"]);
    let run =
        rpcplugin(["--json", "conformance", "--", "/bin/ls"]).ended_with(2).prints(&["--cookie KEY=VALUE"]);
    assert_eq!(run.json()["error"]["code"], "rpcplugin::config::invalid_arguments");
}

fn check(args: &[&str], plugin: &Path) -> Run {
    let args = ["conformance"].iter().chain(&COOKIE).chain(args).chain(&["--"]);
    rpcplugin(args.map(Path::new).chain([plugin]))
}

/// Returns the result of each check by name.
#[track_caller]
fn results(run: &Run) -> BTreeMap<String, String> {
    let json = run.json();
    let findings = json["findings"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(&finding["name"]), text(&finding["result"]))).collect()
}
