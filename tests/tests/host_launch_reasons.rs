//! The error for a plugin that prints why it cannot start: the reason and the help of the plugin, also in one line.
#![cfg(unix)]

use std::{net::TcpListener, path::Path, process::Stdio, time::Duration};

use rpcplugin::host::HandshakeFault;
use rpcplugin::{
    Command, LaunchError,
    config::{HostConfig, HostTls},
    error::PlainReport,
    host::{LaunchFault, ReasonKind},
};
use rpcplugin_tests::support::{
    faulty::{faulty, host, refused, shows},
    scripts::script,
};

const TIMEOUT: Duration = Duration::from_secs(20);

fn plain(config: &mut HostConfig) {
    config.tls = HostTls::Plaintext;
}

/// Checks that the error is one line without control characters, and has no help about unrelated problems.
#[track_caller]
fn is_plain(error: &LaunchError, headline: &str) {
    let line = error.to_string();
    assert!(line.contains(headline), "{headline:?} is not in {line}");
    assert!(!line.contains(char::is_control) && line.chars().count() < 1200, "{line:?}");
    let all = PlainReport(error).to_string();
    let help = rpcplugin_help(error);
    for unrelated in ["ELF", "mode: ", "owner: ", "interpreter"] {
        assert!(!all.contains(unrelated), "{unrelated}: {all}");
    }
    assert!(!help.contains("stderr of the plugin"), "the stderr is not a help: {help}");
}

fn rpcplugin_help(error: &LaunchError) -> String {
    miette::Diagnostic::help(error).expect("a help").to_string()
}

fn code(error: &LaunchError) -> String {
    miette::Diagnostic::code(error).expect("a code").to_string()
}

#[tokio::test]
async fn a_plugin_of_this_library_gives_a_reason_a_code_and_a_help() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let long = format!("/tmp/{}", "x".repeat(150));
    for (variables, headline, expected, help) in [
        (
            &[("PLUGIN_SERVER_TRANSPORTS", "tcp"), ("PLUGIN_SERVER_PORT", &*port)][..],
            "the plugin cannot listen: ",
            "rpcplugin::transport::",
            "",
        ),
        (
            &[("PLUGIN_SERVER_PORT", "http")],
            "the configuration of the plugin cannot be used: PLUGIN_SERVER_PORT",
            "rpcplugin::config::",
            "",
        ),
        (
            &[("PLUGIN_SERVER_PORT", "http"), ("PLUGIN_WORKERS", "many")],
            "the configuration of the plugin cannot be used: 2 faults",
            "rpcplugin::config::invalid",
            "correct each fault",
        ),
        (
            &[("PLUGIN_AUTO_MTLS", "false")],
            "the host requests mutual TLS, which is off in this plugin's configuration",
            "rpcplugin::security::mtls_refused",
            "set PLUGIN_AUTO_MTLS=true",
        ),
        (&[("PLUGIN_SERVER_UNIX_SOCKET_PATH", &*long)], "xxxxx", "rpcplugin::", ""),
    ] {
        let command =
            variables.iter().fold(faulty("healthy"), |command, (name, value)| command.env(name, value));
        let error = refused(&host(|_| {}), command, TIMEOUT).await;
        is_plain(&error, headline);
        let reason = error.facts().reason.as_ref().expect("a reason");
        assert_eq!(reason.kind, ReasonKind::Error);
        assert!(code(&error).starts_with(expected), "{error:?}");
        assert_eq!(Some(&code(&error)), reason.code.as_ref(), "{error:?}");
        assert!(rpcplugin_help(&error).contains(help), "{error:?}");
        assert_eq!(Some(rpcplugin_help(&error)), reason.help, "{error:?}");
        assert!(!PlainReport(&error).to_string().contains("cookie"), "{error:?}");
        shows(
            &error,
            &[
                "because the plugin exited before it printed a handshake line: exit status 1",
                "stderr of the plugin:\n    ",
            ],
        );
        assert!(matches!(error.fault, LaunchFault::Handshake(HandshakeFault::ExitedEarly(_))));
    }
}

#[tokio::test]
async fn a_panic_is_the_reason() {
    for (fault, message) in [
        ("panics", "it panicked: \"there is no configuration "),
        ("panics-serving", "it panicked: \"there is no database ("),
    ] {
        let error = refused(&host(|_| {}), faulty(fault), TIMEOUT).await;
        is_plain(&error, message);
        assert!(error.to_string().contains("faulty-plugin.rs:"), "{error}");
        shows(&error, &["help: correct what it names as its reason"]);
    }
}

#[tokio::test]
async fn main_within_a_runtime_names_the_function_to_call() {
    let error = refused(&host(|_| {}), faulty("main-within"), TIMEOUT).await;
    is_plain(&error, "`Serve::main` makes a runtime");
    assert_eq!(code(&error), "rpcplugin::config::nested_runtime");
    assert!(rpcplugin_help(&error).contains("await `Serve::run`"), "{error:?}");
}

#[tokio::test]
async fn the_reason_of_a_script_is_in_the_error() {
    let error =
        refused(&host(plain), script("echo 'cannot find \u{1b}[31mkv.db' >&2; exit 4"), TIMEOUT).await;
    is_plain(
        &error,
        "the plugin exited before it printed a handshake line: exit status 4; it last wrote: \"cannot find kv.db\"",
    );
    shows(&error, &["help: correct what it names on stderr"]);
    assert!(!PlainReport(&error).to_string().contains("cookie"), "{error:?}");

    // A hint of the plugin is used, on either stream.
    for text in [
        "echo 'This is a plugin; it must be started by kv-host' >&2; exit 1",
        "echo 'This is a plugin and must be started by kv-host'; exit 1",
        "echo 'This binary is a plugin, not to be run directly' >&2; exit 0",
    ] {
        let error = refused(&host(plain), script(text), TIMEOUT).await;
        shows(&error, &["give host and plugin the same magic cookie"]);
    }
}

#[tokio::test]
async fn a_line_that_is_not_a_handshake_line_is_in_the_message() {
    let error =
        refused(&host(plain), script(r"printf 'Hello \033[31m\177 world\n'; sleep 60"), TIMEOUT).await;
    is_plain(&error, "in place of its handshake line: \"Hello \\u{1b}[31m\\u{7f} world\"");
}

#[tokio::test]
async fn the_last_stderr_lines_are_in_the_error_of_a_silent_plugin() {
    let short = |config: &mut HostConfig| config.launch_timeout = Duration::from_millis(500);
    let error =
        refused(&host(short), script("echo 'waiting for the database' >&2; exec sleep 60"), TIMEOUT).await;
    is_plain(
        &error,
        "the plugin printed no handshake line within 0.5 s; it last wrote: \"waiting for the database\"",
    );
}

#[tokio::test]
async fn python_and_its_traceback() {
    if !is_there("python3") {
        return;
    }
    let program = "import sys\ndef main():\n    raise RuntimeError('no such table: kv')\nmain()";
    let error = refused(&host(plain), Command::new("python3").arg("-c").arg(program), TIMEOUT).await;
    is_plain(&error, "it panicked: \"RuntimeError: no such table: kv\"");
    let program = "import sys\nprint('starting up')\nsys.stdout.flush()\nsys.exit('no config')";
    let error = refused(&host(plain), Command::new("python3").arg("-c").arg(program), TIMEOUT).await;
    is_plain(
        &error,
        "other text in place of its handshake line: \"starting up\"; it last wrote: \"no config\"",
    );
}

#[tokio::test]
async fn go_and_its_panics() {
    if !is_there("go") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("p.go");
    std::fs::write(&source, GO).expect("writable");
    let program = dir.path().join("p");
    let built = std::process::Command::new("go").arg("build").arg("-o").arg(&program).arg(&source).status();
    assert!(built.expect("go can be started").success());
    let go = |how: &str| Command::new(Path::new(&program)).arg(how);
    let error = refused(&host(plain), go("panic"), TIMEOUT).await;
    is_plain(&error, "it panicked: \"listen tcp :80: bind: permission denied\"");
    let error = refused(&host(plain), go("fatal"), TIMEOUT).await;
    is_plain(&error, "exit status 1; it last wrote: \"cannot open the database\"");
    // The message of go-plugin for a missing or another cookie.
    let error = refused(&host(plain), go("cookie"), TIMEOUT).await;
    shows(&error, &["refused the magic cookie, which another host has", "same magic cookie"]);
}

const GO: &str = r#"
package main

import ("errors"; "fmt"; "log"; "os")

func main() {
    switch os.Args[1] {
    case "fatal":
        log.Fatal("cannot open the database")
    case "cookie":
        fmt.Fprintf(os.Stderr, "This binary is a plugin. These are not meant to be executed directly.\nPlease execute the program that consumes these plugins, which will\nload any plugins automatically\n")
        os.Exit(1)
    }
    panic(errors.New("listen tcp :80: bind: permission denied"))
}
"#;

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn is_there(program: &str) -> bool {
    let version = if program == "go" { "version" } else { "--version" };
    let started =
        std::process::Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = started.is_ok_and(|status| status.success());
    if !there {
        println!("skipped: there is no {program}");
    }
    there
}
