//! The output and the input of a plugin behind a bridge.

use std::{
    fs,
    io::{BufReader, Read as _, Write as _},
    os::fd::OwnedFd,
    path::Path,
    process::{ChildStdout, Stdio},
    thread,
};

use crate::{
    bridged::{Bridge, PROGRAM, Stub, run},
    program::eventually,
};

const LINE: &str = "1|1|unix|/nowhere/plugin|grpc|certificate|true";

#[test]
fn all_but_the_address_in_the_handshake_line_passes_unchanged() {
    let script =
        format!("echo Welcome; echo to stderr >&2; echo '{LINE}'; printf 'more\\nand no line break'");
    let mut bridge =
        Bridge::start(&["--listen", "127.0.0.1", "--announce", "plugin.example:7400", "--"], &script, |_| {});
    let mut printed = String::new();
    bridge.stdout.read_to_string(&mut printed).unwrap();
    let line = "1|1|tcp|plugin.example:7400|grpc|certificate|true";
    assert_eq!(printed, format!("Welcome\n{line}\nmore\nand no line break"));
    assert_eq!(bridge.ends().code(), Some(0));
    assert_eq!(bridge.stderr(), "to stderr\n");
}

#[test]
fn stdin_reaches_the_plugin() {
    let mut bridge = Bridge::start(&["--"], "cat", |_| {});
    bridge.stdin.take().unwrap().write_all(b"typed\nwithout a line break").unwrap();
    let mut printed = String::new();
    bridge.stdout.read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "typed\nwithout a line break");
    assert!(bridge.ends().success());
}

#[test]
fn the_environment_reaches_the_plugin_and_what_is_for_the_bridge_does_not() {
    let given = [
        ("KV_PLUGIN", "hello"),
        ("PLUGIN_PROTOCOL_VERSIONS", "2,1"),
        ("PLUGIN_CLIENT_CERT", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"),
        ("PLUGIN_MULTIPLEX_GRPC", "true"),
        ("PLUGIN_MIN_PORT", "0"),
        ("PLUGIN_MAX_PORT", "1"),
        ("PLUGIN_UNIX_SOCKET_DIR", "/on/the/machine/of/the/host"),
        ("PLUGIN_UNIX_SOCKET_GROUP", "plugins"),
    ];
    let mut bridge = Bridge::start(&["--"], "env -0; test -d \"$PLUGIN_UNIX_SOCKET_DIR\"", |command| {
        command.envs(given);
    });
    let mut printed = String::new();
    bridge.stdout.read_to_string(&mut printed).unwrap();
    assert!(bridge.ends().success(), "the directory exists");
    let value = |name: &str| printed.split('\0').find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    for (name, given) in &given[..6] {
        assert_eq!(value(name), Some(*given), "{name}");
    }
    let dir = value("PLUGIN_UNIX_SOCKET_DIR").unwrap();
    assert!(dir.ends_with("/bridge-needs-multiplexing") && dir.len() < 90, "{dir}");
    assert_eq!(value("PLUGIN_UNIX_SOCKET_GROUP"), None);
}

#[test]
fn a_host_that_does_not_read_stops_the_output_and_not_the_connections() {
    const FLOOD: usize = 1_000_000;
    let stub = Stub::new();
    let script = format!(
        "echo '1|1|unix|{}|grpc|'; head -c {FLOOD} /dev/zero >&2; exec cat > /dev/null",
        stub.socket.display()
    );
    let mut bridge = Bridge::start(&["--"], &script, |command| {
        command.stderr(Stdio::piped());
    });
    let (mut host, mut plugin) = stub.connect(&bridge.address());
    // Until the pipes are full, and later.
    for number in 0..1000_u32 {
        host.write_all(&number.to_be_bytes()).unwrap();
        let mut received = [0; 4];
        plugin.read_exact(&mut received).unwrap();
        assert_eq!(u32::from_be_bytes(received), number);
    }
    let mut stderr = bridge.child.stderr.take().unwrap();
    let reader = thread::spawn(move || {
        let mut flood = Vec::new();
        stderr.read_to_end(&mut flood).unwrap();
        flood
    });
    drop(bridge.stdin.take());
    assert!(bridge.ends().success());
    assert!(reader.join().unwrap() == vec![0; FLOOD], "the output differs");
}

#[test]
fn a_plugin_that_exits_ends_the_bridge_although_the_host_does_not_read() {
    let mut bridge = Bridge::start(&["--"], "head -c 100000 /dev/zero >&2; exit 5", |command| {
        command.stderr(Stdio::piped());
    });
    assert_eq!(bridge.ends().code(), Some(5));
}

#[test]
fn a_host_sees_that_the_plugin_has_closed_its_stdout() {
    let mut bridge = Bridge::start(&["--"], "exec > /dev/null; exec cat", |_| {});
    let mut printed = String::new();
    bridge.stdout.read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "");
    assert!(bridge.child.try_wait().unwrap().is_none(), "the plugin runs");
    drop(bridge.stdin.take());
    assert!(bridge.ends().success());
}

#[test]
fn a_plugin_notices_that_its_host_reads_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let noticed = dir.path().join("noticed");
    // The host closes the end of stdout that it reads, and keeps stderr.
    let script = format!(
        "trap '' PIPE; while echo again; do :; done 2> /dev/null; touch '{}'; exec cat > /dev/null",
        noticed.display()
    );
    let mut bridge = Bridge::start(&["--"], &script, |_| {});
    assert_eq!(bridge.line(), "again");
    let (nothing, _) = std::io::pipe().unwrap();
    drop(std::mem::replace(&mut bridge.stdout, BufReader::new(ChildStdout::from(OwnedFd::from(nothing)))));
    eventually(|| fs::exists(&noticed).unwrap().then_some(()));
    drop(bridge.stdin.take());
    assert!(bridge.ends().success());
}

/// A host reports the plugin behind the bridge as it would report the plugin itself.
#[test]
fn a_host_names_the_fault_of_a_plugin_behind_a_bridge() {
    let reported = |timeout: &str, plugin: &[&str], parts: &[&str]| {
        let before = ["inspect", "--cookie", "A=b", "--timeout", timeout, "--", PROGRAM, "bridge", "--"];
        let args: Vec<String> = before.iter().chain(plugin).map(|word| (*word).to_owned()).collect();
        let ended = run(Path::new(PROGRAM), &args, |_| false);
        assert_eq!(ended.status.code(), Some(3), "{}", ended.printed);
        for part in parts {
            assert!(ended.printed.contains(part), "{part:?} is missing in {}", ended.printed);
        }
    };
    let script =
        |timeout: &str, script: &str, parts: &[&str]| reported(timeout, &["/bin/sh", "-c", script], parts);
    script(
        "30s",
        "echo 'cannot open the database' >&2; exit 7",
        &["exit status 7", "cannot open the database"],
    );
    script("30s", "kill -SEGV $$", &["SIGSEGV"]);
    script(
        "30s",
        "echo 'Welcome!'; exec sleep 1000",
        &["rpcplugin::handshake::not_a_handshake_line", "Welcome!"],
    );
    script("30s", "echo '1|9|unix|/nowhere/plugin|grpc|'; exec sleep 1000", &["version 9"]);
    script("1s", "exec sleep 1000", &["rpcplugin::handshake::timeout"]);
    let missing = ["/no/such/plugin", "rpcplugin::transport::plugin_not_found", "exit status 3"];
    reported("30s", &["/no/such/plugin"], &missing);
}
