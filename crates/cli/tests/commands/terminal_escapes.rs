//! No output of a plugin can act on the terminal, directly or through a file that the terminal shows.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rpcplugin::error::disturbs;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    program::{Run, peer, rpcplugin, script},
    running::kit_proto,
    terminal::on_a_terminal,
};

/// Sequences that act on a terminal, as an argument of the shell's `printf`: the clipboard, the screen, a C1 control, DEL, direction marks,
/// a colour, and a carriage return.
const ACTS: &str =
    r"\033]52;c;aGk=\007\033[2J\302\23331m\177\342\200\256x\342\201\246\033[31mcrimson\033[0m\r";

const COOKIE: [&str; 2] = ["--cookie", "ACTING_PLUGIN=1"];

/// Expects that nothing in a text can act on a terminal, except the colours of the program.
#[track_caller]
fn is_harmless(text: &str) {
    let plain = own_colours_taken_out(text);
    let acting: Vec<char> = plain.chars().filter(|c| *c != '\n' && disturbs(*c)).collect();
    assert!(acting.is_empty(), "{acting:?} in {plain:?}");
}

/// Removes the colours of the program. Colours of the plugin are recognized by the text beside them.
fn own_colours_taken_out(text: &str) -> String {
    for colour in ["\u{1b}[31mcrimson", "crimson\u{1b}[0m"] {
        assert!(!text.contains(colour), "a plugin's colour is shown: {text:?}");
    }
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        match part.split_once('m') {
            Some((codes, rest)) if codes.chars().all(|c| c.is_ascii_digit() || c == ';') => plain += rest,
            _ => plain += &format!("\u{1b}[{part}"),
        }
    }
    plain
}

#[track_caller]
fn prints_harmlessly(run: Run, words: &[&str]) {
    is_harmless(&run.stdout);
    is_harmless(&run.stderr);
    run.prints(words);
}

/// Errors of the library and of this program: as text, with colours, and as JSON.
#[test]
fn plugins_that_do_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let json = r#"{"@level":"error","@message":"m \\u001b[2J","@module":"\\u009b2J","a\\u202e":"\\u001b[31mcrimson"}"#;
    for (name, content) in [
        ("stray", format!("printf 'stray {ACTS}\\n'; printf 'more {ACTS}\\n'; exit 3")),
        ("stderr", format!("printf 'said {ACTS}\\n' >&2; printf 'error: no {ACTS}\\n' >&2; exit 3")),
        ("record", format!("printf '{json}\\n' >&2; exit 3")),
        ("panic", format!("printf 'panic: {ACTS}\\n\\ngoroutine 1 [running]:\\n' >&2; exit 2")),
        ("cookie", format!("printf 'magic cookie X_PLUGIN {ACTS}\\n' >&2; exit 1")),
        ("address", format!("printf '1|1|unix|/tmp/{ACTS}|grpc\\n'; sleep 60")),
        ("network", format!("printf '1|1|{ACTS}|x|grpc\\n'; sleep 60")),
        ("version", format!("printf '1|{ACTS}|unix|/x|grpc\\n'; sleep 60")),
        ("unended", format!("printf '1|1|{ACTS}'; sleep 60")),
    ] {
        let plugin = script(dir.path(), name, &content);
        for command in ["inspect", "run", "doctor", "conformance", "bench"] {
            for global in [&[][..], &["--color", "always"], &["--json"]] {
                let checks = if command == "conformance" { &["--only", "line-form"][..] } else { &[] };
                let command = [command, "--timeout", "1s"];
                let args = global.iter().chain(&command).chain(&COOKIE).chain(checks);
                let run = rpcplugin(args.map(OsStr::new).chain([plugin.as_os_str()]));
                assert!(matches!(run.code, Some(1 | 3)), "{name} {command:?}: {run:?}");
                is_harmless(&run.stdout);
                is_harmless(&run.stderr);
            }
        }
    }
    // The sequences are shown as escapes.
    let shown = rpcplugin([OsStr::new("inspect"), dir.path().join("stray").as_os_str()]);
    prints_harmlessly(shown, &["\\u{1b}]52;c;aGk=\\u{7}", "\\u{9b}31m\\u{7f}\\u{202e}x\\u{2066}"]);
}

/// Returns a plugin in Python without a plugin library.
fn acting() -> Option<[PathBuf; 2]> {
    let python = peer("python", "bin/python")?;
    Some([python, Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python/acting_plugin.py")])
}

fn of(args: &[&str], plugin: &[PathBuf; 2]) -> Vec<OsString> {
    let args = args.iter().chain(&COOKIE).map(OsString::from);
    args.chain(["--".into()]).chain(plugin.iter().map(OsString::from)).collect()
}

#[test]
fn names_subjects_statuses_answers_and_findings() {
    let Some(plugin) = acting() else { return };
    let proto = kit_proto();
    let proto = proto.to_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let junit = dir.path().join("findings.xml");
    let junit = junit.to_str().unwrap();
    let commands: [(&[&str], i32, &[&str]); 6] = [
        (&["inspect"], 0, &["subject", "52;c;aGk="]),
        (&["inspect", "--no-mtls"], 0, &["conformance.v1.Kit"]),
        (
            &["call", "Kit/Fail", "-d", "{}", "--proto", proto],
            1,
            &["status", "INTERNAL", "type.googleapis.com/type."],
        ),
        (&["call", "Kit/Chat", "-d", "{}", "--proto", proto, "--show-metadata"], 0, &["answer "]),
        (&["doctor"], 0, &["SERVING"]),
        (
            &["conformance", "--only", "reflection,cookie-message,line-form,stdio", "--junit", junit],
            0,
            &["line-form"],
        ),
    ];
    for (args, code, words) in commands {
        for global in [&[][..], &["--color", "always"], &["--json"]] {
            let run = rpcplugin(of(&[global, args].concat(), &plugin));
            assert_eq!(run.code, Some(code), "{args:?}: {run:?}");
            prints_harmlessly(run, words);
        }
        let (code_there, screen) = on_a_terminal(80, of(args, &plugin));
        assert_eq!(code_there, Some(code), "{args:?}: {screen}");
        is_harmless(&screen.replace("\u{1b}[2K", "").replace('\r', ""));
    }
    is_harmless(&fs::read_to_string(junit).unwrap());

    // No line of a plugin looks like a line of the program.
    let inspected = rpcplugin(of(&["inspect"], &plugin));
    assert!(inspected.stdout.contains("subject\\nSHA-256 of another line"), "{}", inspected.stdout);
    let failed = rpcplugin(of(&["call", "Kit/Fail", "-d", "{}", "--proto", proto], &plugin));
    assert!(failed.stderr.contains("\n    ERROR of another line"), "{}", failed.stderr);
    // JSON has the original text.
    let answer = rpcplugin(of(&["--json", "call", "Kit/Chat", "-d", "{}", "--proto", proto], &plugin)).json();
    assert!(
        answer["text"].as_str().unwrap().starts_with("answer \u{1b}]52;c;aGk=\u{7}\u{1b}[2J\u{9b}31m"),
        "{answer}"
    );
    // Without its cookie the plugin prints its own message.
    let without = ["inspect".into()].into_iter().chain(plugin.iter().map(OsString::from));
    let without = rpcplugin(without).ended_with(3);
    prints_harmlessly(without, &["--cookie ACTING_PLUGIN=…", "its magic cookie ACTING_PLUGIN is not set"]);
}

/// The log and the output of a running plugin.
#[test]
fn log_and_output() {
    let Some(plugin) = acting() else { return };
    for global in [&[][..], &["--color", "always"], &["--json"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
            .args(of(&[global, &["run", "--no-mtls"]].concat(), &plugin))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdout, mut stderr) =
            (BufReader::new(child.stdout.take().unwrap()), child.stderr.take().unwrap());
        let noted = std::thread::spawn(move || {
            let mut all = String::new();
            stderr.read_to_string(&mut all).map(|_| all)
        });
        let mut all = String::new();
        while !all.contains("printed ") {
            assert_ne!(stdout.read_line(&mut all).unwrap(), 0, "it prints: {all}");
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        stdout.read_to_string(&mut all).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{all}");
        all += &noted.join().unwrap().unwrap();
        is_harmless(&all);
        for word in ["line ", "text ", "message ", "module ", "name ", "value ", "printed "] {
            assert!(all.contains(word), "{word} is missing in {all}");
        }
        assert!(
            global == ["--json"] || all.contains("\\u{1b}]52;c;aGk=\\u{7}\\u{1b}[2J\\u{9b}31m\\u{7f}"),
            "{all}"
        );
    }
}
