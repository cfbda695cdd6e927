//! Output on a terminal, and texts.

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    program::{basic_plugin, peer, rpcplugin, script},
    running::{Running, kit, of_the_tests},
    terminal::{on_a_terminal, screen},
};

const COOKIE: [&str; 2] = ["--cookie", "BASIC_PLUGIN=hello"];

/// Runs a command with the example plugin on a terminal.
fn seen(columns: u16, args: &[&str]) -> Vec<String> {
    let args = args.iter().chain(&COOKIE).map(OsString::from);
    let (code, sent) = on_a_terminal(columns, args.chain([basic_plugin().into()]));
    assert!(matches!(code, Some(0 | 1)), "{sent}");
    let lines = screen(&sent);
    for line in &lines {
        assert!(line.chars().count() <= columns.into(), "a line of {columns} columns is broken: {line:?}");
    }
    lines
}

#[test]
fn the_progress_indicator_is_removed() {
    let lines = seen(100, &["conformance", "--only", "cookie,line,health,large-message,start-time"]);
    assert!(lines.iter().all(|line| !line.contains("checking basic-plugin")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("PASS  cookie-missing ")), "{lines:#?}");
    let results = lines.iter().take_while(|line| !line.is_empty());
    let known = ["PASS  ", "INFO  ", "SKIP  ", "WARN  ", "FAIL  ", "      "];
    for line in results {
        assert!(known.iter().any(|start| line.starts_with(start)), "{line:?} in {lines:#?}");
    }
}

#[test]
fn values_are_wrapped_in_their_column() {
    for columns in [60, 80, 120] {
        let inspected = seen(columns, &["inspect"]);
        assert!(inspected.iter().any(|line| line.contains("SHA-256 ")), "{inspected:#?}");
        for line in &inspected[1..] {
            assert!(["├", "│", "└", "   "].iter().any(|start| line.starts_with(start)), "{line:?}");
        }
        seen(columns, &["inspect", "--full"]);
        seen(columns, &["doctor"]);
        seen(columns, &["conformance", "--list"]);
        let checked = seen(columns, &["conformance", "--only", "line,cookie,socket"]);
        assert!(checked.iter().any(|line| line.starts_with("PASS  line-form")), "{checked:#?}");
    }
}

/// The lines after the first are indented.
#[test]
fn a_log_record_is_wrapped_at_blanks() {
    let Some(kit) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let record = r#"{"@level":"error","@message":"a message of some words that goes on","@module":"m","name":"another text"}"#;
    let logs =
        script(dir.path(), "logs", &format!("echo '{record}' >&2\nexec {} 2>/dev/null", kit.display()));
    let args = ["call", "Panic", "-d", "{}", "--preset", "kit"].map(OsString::from);
    let (code, sent) = on_a_terminal(40, args.into_iter().chain([logs.into()]));
    let lines = screen(&sent);
    assert_eq!(code, Some(4), "{lines:#?}");
    let at = lines.iter().position(|line| line.starts_with("ERROR m: ")).unwrap();
    let expected = ["ERROR m: a message of some words", "    that goes on name=\"another text\""];
    assert_eq!(lines[at..at + 2], expected, "{lines:#?}");
}

#[test]
fn a_fingerprint_is_shortened_without_full() {
    let inspect = |args: &[&str]| {
        let args = ["inspect"].iter().chain(args).chain(&COOKIE).map(OsStr::new);
        rpcplugin(args.chain([basic_plugin().as_os_str()])).ended_with(0)
    };
    let fingerprints = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.split_once("SHA-256 "));
        lines.map(|(_, fingerprint)| fingerprint.to_owned()).collect()
    };
    let cut = fingerprints(&inspect(&[]).stdout);
    assert!(
        cut.len() == 2 && cut.iter().all(|one| one.chars().count() == 33 && one.contains('…')),
        "{cut:?}"
    );
    let whole = fingerprints(&inspect(&["--full"]).stdout);
    assert!(whole.len() == 2 && whole.iter().all(|one| one.len() == 64), "{whole:?}");
}

#[test]
fn results_are_worded_plainly() {
    let run = rpcplugin(["doctor", "/bin/ls"]).ended_with(1);
    assert!(!run.stdout.contains("does not start"), "{run:?}");
    run.prints(&["ls starts, but does not serve as a plugin: see above"]);
    rpcplugin(["doctor", "/nowhere/ls"]).ended_with(1).prints(&["ls does not start: see above"]);
    let run = rpcplugin(["inspect", "/dev/null"]).ended_with(3);
    assert!(!run.stderr.contains("chmod"), "{run:?}");
    run.prints(&["is a pipe or a device, not a program"]);
    let args = ["conformance", "--only", "large-message"].iter().chain(&COOKIE).map(OsStr::new);
    let run = rpcplugin(args.chain([basic_plugin().as_os_str()])).ended_with(0);
    assert!(!run.stdout.contains("answered with"), "{run:?}");
    run.prints(&["PASS  large-message", "and the connection stays usable"]);
}

/// The plugin logs nothing before a signal kills it.
#[test]
fn a_log_without_records_has_no_heading() {
    let Some(kit) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let silent = script(dir.path(), "silent", &format!("exec {} 2>/dev/null", kit.display()));
    let args = ["call", "Panic", "-d", "{}", "--preset", "kit"].map(OsStr::new);
    let run = rpcplugin(args.into_iter().chain([silent.as_os_str()])).ended_with(4);
    assert!(!run.stderr.contains("its log:"), "{run:?}");
}

#[test]
fn a_backtrace_has_the_plugins_own_frames() {
    let Some(go) = peer("go", "kit-plugin") else { return };
    let call = |args: &[&str]| {
        let args = ["call", "Panic", "-d", r#"{"message":"boom"}"#].iter().chain(args).map(OsStr::new);
        rpcplugin(args.chain([go.as_os_str()])).ended_with(4).stderr
    };
    let (own, all) = (call(&[]), call(&["--full"]));
    for frames in [&own, &all] {
        assert!(frames.contains("boom") && frames.contains("main."), "{frames}");
    }
    assert!(own.contains("frames of libraries: --full shows all"), "{own}");
    assert!(
        !own.contains("google.golang.org/grpc.(*Server)") && all.contains("google.golang.org/grpc.(*Server)")
    );
    assert!(!all.contains("--full"), "{all}");
}

#[test]
fn the_help_names_the_cookie_that_the_plugin_expects() {
    let dir = tempfile::tempdir().unwrap();
    let words = "This binary is a plugin. Set the environment variable STUDIO_PLUGIN as its host does.";
    let plugin = script(dir.path(), "studio", &format!("echo '{words}' >&2\nexit 1"));
    let plugin = plugin.to_str().unwrap();
    let expects = "the plugin expects the variable STUDIO_PLUGIN: set it with --cookie STUDIO_PLUGIN=…";
    let run = rpcplugin(["inspect", plugin]).ended_with(3);
    run.prints(&[
        "rpcplugin::config::cookie_not_given",
        expects,
        "Set the environment variable STUDIO_PLUGIN",
    ]);
    let error = rpcplugin(["--json", "inspect", plugin]).ended_with(3).json();
    assert!(error["error"]["help"].as_str().unwrap().contains(expects), "{error}");
    assert!(error["error"]["evidence"].to_string().contains(words), "{error}");
    // With another cookie too, but not with the right cookie.
    rpcplugin(["inspect", "--cookie", "OTHER=1", plugin]).ended_with(3).prints(&[expects]);
    let run = rpcplugin(["inspect", "--cookie", "STUDIO_PLUGIN=1", plugin]).ended_with(3);
    assert!(!run.stderr.contains("expects the variable"), "{run:?}");
    rpcplugin(["doctor", plugin])
        .ended_with(1)
        .prints(&["set the variable STUDIO_PLUGIN that the plugin expects"]);
    // Not every variable is a cookie.
    let other = script(dir.path(), "other", "echo 'error: the variable DATABASE_URL is not set' >&2\nexit 1");
    let run = rpcplugin(["inspect", "--cookie", "STUDIO_PLUGIN=1", other.to_str().unwrap()]).ended_with(3);
    run.prints(&["the plugin names the variable DATABASE_URL: set it with --env DATABASE_URL=…"]);
}

/// Returns the output on stdout and stderr until the plugin is ready.
fn announced(args: &[&str], plugin: &Path) -> (Vec<String>, Vec<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
        .arg("run")
        .args(args)
        .arg(plugin)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut noted = Vec::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    while noted.last().is_none_or(|line: &String| line != "press Ctrl-C to shut it down") {
        noted.push(stderr.next().unwrap());
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    stderr.for_each(drop);
    let printed = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    (printed, noted)
}

#[test]
fn the_command_to_attach_is_printed_first() {
    let (Some(kit), Some(provider)) = (kit(), of_the_tests("terraform-provider-demo")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file");
    let after_the_first = |noted: &[String]| {
        let up = noted.iter().position(|line| line.contains(" is up: ")).unwrap();
        noted[up + 1].clone()
    };

    let (printed, noted) = announced(&["--no-mtls"], &kit);
    assert_eq!(printed.len(), 1, "{printed:?}");
    assert_eq!(after_the_first(&noted), format!("attach to it: rpcplugin attach '{}'", printed[0]));
    let (printed, noted) = announced(&["--handover", file.to_str().unwrap()], &kit);
    assert_eq!(printed.len(), 1, "{printed:?}");
    assert_eq!(after_the_first(&noted), format!("attach to it: rpcplugin attach '{}'", file.display()));
    let (_, noted) = announced(&[], &kit);
    assert!(after_the_first(&noted).contains("--handover FILE"), "{noted:?}");

    let (printed, _) = announced(&["--no-mtls"], &provider);
    assert!(printed[0].starts_with('{') && printed[1].starts_with("TF_REATTACH_PROVIDERS='{"), "{printed:?}");
    let running = Running::start(&["--no-mtls"], &kit);
    assert!(running.ready["tf_reattach_providers"].is_null() && running.ready["reattach"].is_object());
}
