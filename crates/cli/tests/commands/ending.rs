//! Early ends of a command: deadlines, interruptions, and failures of stdout.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    program::{rpcplugin, rpcplugin_into},
    running::kit,
};

/// Starts a call with endless responses, faster than the program prints them.
fn endless(args: &[&str], kit: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpcplugin"));
    command.args(["call", "Kit/Count", "-d", r#"{"n":-1}"#]).args(args).arg(kit);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Reads all output in a thread.
fn read_all(child: &mut Child) -> std::thread::JoinHandle<u64> {
    let mut stdout = child.stdout.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).unwrap())
}

#[test]
fn a_fast_stream_ends_at_its_deadline() {
    let Some(kit) = kit() else { return };
    let mut child = endless(&["--deadline", "5s"], &kit);
    let reader = read_all(&mut child);
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && printed.contains("DEADLINE_EXCEEDED"), "{output:?}");
    assert!(reader.join().unwrap() > 0, "there were responses");
}

#[test]
fn a_fast_stream_ends_when_it_is_interrupted() {
    let Some(kit) = kit() else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = endless(&[], &kit);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut String::new()).unwrap();
        let reader = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).unwrap());
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        reader.join().unwrap();
    }
}

#[test]
fn a_stream_ends_quietly_when_its_reader_is_gone() {
    let Some(kit) = kit() else { return };
    let mut child = endless(&[], &kit);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with('{'), "{line}");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(141), ""));
}

#[test]
fn a_full_stdout_is_an_error() {
    let Some(kit) = kit() else { return };
    let kit = kit.to_str().unwrap();
    for args in [
        &["inspect", kit][..],
        &["--json", "inspect", kit],
        &["call", "Kit/Count", "-d", r#"{"n":-1}"#, kit],
        &["completions", "bash"],
        &["--help"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        rpcplugin_into(full, args)
            .ended_with(1)
            .prints(&["rpcplugin::base::stdout_unwritable", "No space left on device"]);
    }
}

#[test]
fn usage_errors_are_json_too() {
    let printed = rpcplugin(["inspect", "--json", "--nonsense"]).ended_with(2).json();
    assert_eq!(printed["error"]["code"], "rpcplugin::config::invalid_arguments");
    assert_eq!(printed["error"]["message"], "unexpected argument '--nonsense' found");
    assert!(printed["error"]["help"].as_str().unwrap().contains("Usage: rpcplugin inspect"), "{printed}");
    let without = rpcplugin(["inspect", "--nonsense"]).ended_with(2);
    assert!(without.stdout.is_empty() && without.stderr.starts_with("error: "), "{without:?}");
    assert!(rpcplugin(["--version"]).ended_with(0).stdout.starts_with("rpcplugin "));
}

#[test]
fn an_interruption_is_an_error_in_json() {
    let Some(kit) = kit() else { return };
    let args = ["--json", "--show-metadata", "-H", "x-kit-a: b"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpcplugin"));
    command.args(["call", "Kit/Chat"]).args(args).arg(kit);
    // Stdin stays open, so the call does not end by itself.
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    // The call is in flight.
    stderr.read_line(&mut String::new()).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    // Waiting would close stdin, and the call could end with a response.
    let input = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(130));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["error"]["code"], "rpcplugin::base::interrupted");
}
