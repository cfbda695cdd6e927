//! What ends a tap and its plugin, and what is left then.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use rustix::process::Signal;

use crate::{
    bridged::{PROGRAM, Tree, send},
    peers::{Words, host, plugin},
    program::eventually,
    running::of_the_tests,
};

/// The file of the tap is the one thing that is left.
fn is_shown(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().contains(".tap-"))
}

/// Runs a tap with a plugin that is a shell script. Returns what it prints on stdout and stderr.
fn run(script: &str) -> (ExitStatus, String, String) {
    let tree = Tree::new();
    let mut command = Command::new(PROGRAM);
    command.args(["tap", "--", "/bin/sh", "-c", script]).stdin(Stdio::null());
    let output = tree.mark(&mut command).output().unwrap();
    tree.leaves_nothing(is_shown);
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status, stdout, stderr)
}

#[test]
fn a_tap_ends_as_its_plugin_does() {
    for (script, status, signal) in [
        ("exit 0", Some(0), None),
        ("exit 77", Some(77), None),
        ("kill -SEGV $$", None, Some(Signal::SEGV)),
        ("kill -TERM $$", None, Some(Signal::TERM)),
    ] {
        let (ended, ..) = run(script);
        assert_eq!((ended.code(), ended.signal()), (status, signal.map(Signal::as_raw)), "{script}");
    }
}

#[test]
fn output_passes_and_the_file_is_named_on_stderr() {
    let (_, stdout, stderr) = run("echo out; echo err >&2");
    assert_eq!(stdout, "out\n");
    assert!(stderr.lines().next().unwrap().contains("sh.tap-") && stderr.contains("err\n"), "{stderr}");
}

#[test]
fn a_plugin_that_uses_net_rpc_is_refused_and_its_address_stays_hidden() {
    let (ended, stdout, stderr) = run("echo '1|1|unix|/tmp/plugin1|netrpc|'; exec sleep 1000");
    assert_eq!((ended.code(), stdout.as_str()), (Some(3), ""), "{stderr}");
    assert!(stderr.contains("rpcplugin::protocol::net_rpc"), "{stderr}");
}

/// The host reads stdout.
#[test]
fn an_error_is_on_stderr_in_either_form() {
    for json in [&["--json"][..], &[]] {
        let tree = Tree::new();
        let mut command = Command::new(PROGRAM);
        command.arg("tap").args(json).args(["--", "/nowhere/at/all"]).stdin(Stdio::null());
        let output = tree.mark(&mut command).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!((output.status.code(), stdout.as_str()), (Some(3), ""), "{stderr}");
        assert!(stderr.contains("/nowhere/at/all"), "{stderr}");
        tree.leaves_nothing(is_shown);
    }
}

#[test]
fn signals_reach_the_plugin() {
    let script =
        "trap 'echo USR1' USR1; trap 'echo TERM; exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let tree = Tree::new();
    let mut command = Command::new(PROGRAM);
    command.args(["tap", "--", "/bin/sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = tree.mark(&mut command).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(line(), "ready\n");
    let pid = i32::try_from(child.id()).unwrap();
    for (signal, text) in [(Signal::USR1, "USR1\n"), (Signal::TERM, "TERM\n")] {
        send(pid, signal);
        assert_eq!(line(), text);
    }
    assert_eq!(child.wait().unwrap().code(), Some(9));
    tree.leaves_nothing(is_shown);
}

/// A host that holds a plugin: its program and arguments.
fn holding(language: &str) -> Option<Command> {
    if language == "rust" {
        let mut command = Command::new(of_the_tests("mortal-host")?);
        command.env("MORTAL_HOST_COOKIE", "CONFORMANCE_KIT_COOKIE=b1d0c9a6-conformance");
        return Some(command);
    }
    let words: Words = host(language)?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["hold", "--"]);
    Some(command)
}

/// Plugins in Go live on after the death of their host if nothing ends them.
#[test]
fn a_killed_host_leaves_neither_tap_nor_plugin() {
    for (of_host, of_plugin) in [("go", "go"), ("rust", "go"), ("python", "go"), ("go", "rust")] {
        let (Some(mut command), Some(plugin)) = (holding(of_host), plugin(of_plugin)) else { continue };
        let tree = Tree::new();
        command.args([PROGRAM, "tap", "--"]).args(&plugin);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut host = tree.mark(&mut command).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains(|c: char| c.is_ascii_digit()), "{of_host}: {line:?}");
        // The host, the tap, and the plugin.
        assert!(tree.alive().len() >= 3, "{of_host}: {:?}", tree.alive());
        let _input = host.stdin.take();
        host.kill().unwrap();
        host.wait().unwrap();
        // A host in Rust has a directory for sockets, which its own watchdog removes.
        tree.leaves_nothing(is_shown);
    }
}

/// A host kills the process that it started, and not its group.
#[test]
fn a_killed_tap_leaves_no_plugin_and_no_socket() {
    for language in ["go", "rust"] {
        let Some(plugin) = plugin(language) else { continue };
        let tree = Tree::new();
        let mut command = Command::new(PROGRAM);
        command.args(["tap", "--"]).args(&plugin).env("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut tap = tree.mark(&mut command).spawn().unwrap();
        let mut stdout = BufReader::new(tap.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let socket = line.split('|').nth(3).unwrap().to_owned();
        assert!(fs::exists(&socket).unwrap() && tree.alive().len() >= 2, "{line:?}");
        tap.kill().unwrap();
        tap.wait().unwrap();
        stdout.read_to_string(&mut line).unwrap();
        tree.leaves_nothing(is_shown);
    }
}

#[test]
fn a_killed_plugin_ends_the_tap_by_the_same_signal() {
    let Some(plugin) = plugin("go") else { return };
    let tree = Tree::new();
    let mut command = Command::new(PROGRAM);
    command.args(["tap", "--"]).args(&plugin).env("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut tap = tree.mark(&mut command).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(tap.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let own = i32::try_from(tap.id()).unwrap();
    let of_plugin = eventually(|| {
        tree.alive().into_iter().find(|pid| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            *pid != own && program.ends_with("kit-plugin")
        })
    });
    send(of_plugin, Signal::KILL);
    assert_eq!(tap.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    tree.leaves_nothing(is_shown);
}
