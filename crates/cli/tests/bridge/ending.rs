//! What ends a bridge and its plugin: the plugin itself, signals, the death of the host, and the time without a host.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    bridged::{Bridge, PROGRAM, Stub, Tree, send},
    program::peer,
    running::{kit, of_the_tests},
};

#[test]
fn a_bridge_ends_as_its_plugin_does() {
    for (script, status, signal) in [
        ("exit 0", Some(0), None),
        ("exit 77", Some(77), None),
        ("exit 255", Some(255), None),
        ("kill -SEGV $$", None, Some(Signal::SEGV)),
        ("kill -ABRT $$", None, Some(Signal::ABORT)),
        ("kill -KILL $$", None, Some(Signal::KILL)),
        ("kill -TERM $$", None, Some(Signal::TERM)),
        ("kill -INT $$", None, Some(Signal::INT)),
    ] {
        let ended = Bridge::start(&["--"], script, |_| {}).ends();
        assert_eq!((ended.code(), ended.signal()), (status, signal.map(Signal::as_raw)), "{script}");
    }
}

#[test]
fn the_last_answer_of_a_plugin_that_exits_arrives() {
    let stub = Stub::new();
    let mut bridge = stub.bridge();
    let (mut host, mut plugin) = stub.connect(&bridge.address());
    let answer = vec![7; 100_000];
    // It fits into the socket's buffer.
    plugin.set_nonblocking(true).unwrap();
    let written = plugin.write(&answer).unwrap();
    drop(plugin);
    drop(bridge.stdin.take());
    let mut received = Vec::new();
    host.read_to_end(&mut received).unwrap();
    assert!(received == answer[..written], "{} of {written} bytes", received.len());
    drop(host);
    assert!(bridge.ends().success());
}

#[test]
fn signals_reach_the_plugin() {
    let names = ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM"];
    let traps: String = names.map(|name| format!("trap 'echo {name}' {name}; ")).concat();
    let mut bridge =
        Bridge::start(&["--"], &format!("{traps} echo ready; while :; do sleep 0.01; done"), |_| {});
    assert_eq!(bridge.line(), "ready");
    let signals = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::TERM];
    for (name, signal) in names.into_iter().zip(signals) {
        bridge.send(signal);
        assert_eq!(bridge.line(), name);
    }
    bridge.send(Signal::KILL);
    assert_eq!(bridge.ends().signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let script = "trap 'exit 9' HUP; trap 'echo TERM' TERM; echo ready; while :; do sleep 0.01; done";
    let tree = Tree::new();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", PROGRAM, "bridge", "--", "/bin/sh", "-c", script]);
    let mut child = tree.mark(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(line(), "ready\n");
    let pid = i32::try_from(child.id()).unwrap();
    send(pid, Signal::HUP);
    send(pid, Signal::TERM);
    // A shell cannot trap a signal that it ignored at its start either.
    assert_eq!(line(), "TERM\n");
    send(pid, Signal::KILL);
    child.wait().unwrap();
    tree.dies_out();
}

#[test]
fn a_plugin_without_a_host_ends_after_its_orphan_timeout() {
    let stub = Stub::new();
    let timeout = Duration::from_millis(400);
    let start = || {
        stub.bridge_with(|command| {
            command.env("PLUGIN_ORPHAN_TIMEOUT", format!("{}ms", timeout.as_millis()));
        })
    };
    // No host comes, and a probe is no host.
    let mut bridge = start();
    let begun = Instant::now();
    let _probe = TcpStream::connect(bridge.address()).unwrap();
    assert_eq!(bridge.ends().signal(), Some(Signal::TERM.as_raw()), "{}", bridge.stderr());
    assert!(begun.elapsed() >= timeout / 2, "{:?}", begun.elapsed());
    assert!(bridge.stderr().contains("no host has been connected"), "{}", bridge.stderr());
    let _ = stub.listener.accept().unwrap();

    // A host that is connected keeps the plugin, and the time runs from its end.
    let mut bridge = start();
    let (mut host, mut plugin) = stub.connect(&bridge.address());
    let begun = Instant::now();
    host.write_all(b"!").unwrap();
    plugin.read_exact(&mut [0; 1]).unwrap();
    while begun.elapsed() < 3 * timeout {
        plugin.write_all(b"!").unwrap();
        host.read_exact(&mut [0; 1]).unwrap();
    }
    assert!(bridge.child.try_wait().unwrap().is_none(), "{}", bridge.stderr());
    drop((host, plugin));
    assert_eq!(bridge.ends().signal(), Some(Signal::TERM.as_raw()), "{}", bridge.stderr());
}

#[test]
fn a_plugin_that_ignores_the_end_of_its_host_is_killed() {
    let mut bridge =
        Bridge::start(&["--"], "trap '' TERM; echo ready; while :; do sleep 1; done", |command| {
            command.env("PLUGIN_ORPHAN_TIMEOUT", "100ms");
        });
    assert_eq!(bridge.line(), "ready");
    assert_eq!(bridge.ends().signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn a_host_may_leave_its_plugin_running() {
    let stub = Stub::new();
    let tree = Tree::new();
    let script = format!("echo '1|1|unix|{}|grpc|'; exec sleep 1000", stub.socket.display());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "\"$@\" & wait", "sh", PROGRAM, "bridge", "--", "/bin/sh", "-c", &script]);
    command.env("PLUGIN_EXIT_WITH_HOST", "false").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut host = tree.mark(&mut command).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split('|').nth(3).unwrap().to_owned();
    host.kill().unwrap();
    host.wait().unwrap();
    // Longer than a bridge takes to notice the death of its host.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        let (mut host, mut plugin) = stub.connect(&address);
        host.write_all(b"!").unwrap();
        plugin.read_exact(&mut [0; 1]).unwrap();
    }
    assert!(!tree.alive().is_empty());
}

/// A host that holds a plugin, in three languages: its program and arguments, and what it prints when the plugin runs.
fn hosts() -> Vec<(&'static str, Command)> {
    let mut hosts = Vec::new();
    if let Some(program) = peer("go", "kit-host") {
        let mut command = Command::new(program);
        command.args(["hold", "--"]);
        hosts.push(("Go", command));
    }
    if let Some(program) = peer("python", "bin/python") {
        let mut command = Command::new(program);
        command.arg(python("kit_host.py")).args(["hold", "--"]);
        hosts.push(("Python", command));
    }
    if let Some(program) = of_the_tests("mortal-host") {
        let mut command = Command::new(program);
        command.env("MORTAL_HOST_COOKIE", "CONFORMANCE_KIT_COOKIE=b1d0c9a6-conformance");
        hosts.push(("Rust", command));
    }
    hosts
}

fn python(script: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python").join(script)
}

/// Plugins in Go live on after the death of their host if nothing ends them.
#[test]
fn a_killed_host_leaves_neither_bridge_nor_plugin() {
    let plugins = [("Go", peer("go", "kit-plugin")), ("Rust", kit())];
    for (language, plugin) in plugins {
        let Some(plugin) = plugin else { continue };
        for (of_host, mut command) in hosts() {
            let tree = Tree::new();
            command.args([PROGRAM, "bridge", "--"]).arg(&plugin);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut host = tree.mark(&mut command).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert!(line.contains(|c: char| c.is_ascii_digit()), "{of_host}: {line:?}");
            // The host, the bridge, and the plugin.
            assert!(tree.alive().len() >= 3, "{of_host}: {:?}", tree.alive());
            let _input = host.stdin.take();
            host.kill().unwrap();
            host.wait().unwrap();
            tree.dies_out();
            eprintln!("a {language} plugin of a {of_host} host ends with its host");
        }
    }
}

/// A host kills the process that it started, and not its group.
#[test]
fn a_killed_bridge_leaves_no_plugin() {
    let Some(plugin) = peer("go", "kit-plugin") else { return };
    let script = format!("exec '{}'", plugin.display());
    let mut bridge = Bridge::start(&["--"], &script, |command| {
        command.env("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance");
    });
    assert!(TcpStream::connect(bridge.address()).is_ok());
    bridge.send(Signal::KILL);
    assert_eq!(bridge.ends().signal(), Some(Signal::KILL.as_raw()));
}
