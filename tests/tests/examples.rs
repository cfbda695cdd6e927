//! The examples of the facade, started as a user starts them: each launches itself as a plugin and prints the results.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use rpcplugin_tests::support::{pages::shown, programs::example};

#[test]
fn versions() {
    let [old, new, refused] = &starts::<3>("versions");
    shown("versions.md", &format!("{old}\n{new}\n"));
    assert_eq!(old, "a host of [1] uses version 1: Hello, Ada!");
    assert_eq!(new, "a host of [1, 2] uses version 2: Bonjour, Ada !");
    assert!(
        refused.starts_with("a host of [3]: the plugin")
            && refused.ends_with("the plugin serves version 1 of the protocol, and this host supports 3"),
        "{refused}"
    );
}

#[test]
fn metadata() {
    let printed = [
        "in the file: greeter 1.2.0, with english and formal",
        "running: greeter 1.2.0, with english and formal",
        "Hello, Ada!",
        "refused: the plugin greeter has version 1.2.0, and this host requires >=2, <3",
        "refused: the plugin greeter 1.2.0 does not have the capability french, which this host requires",
        "refused: the plugin greeter requires a host of version 2.0.0 or later, and this host has version 1.9.0",
    ];
    prints("metadata", &printed);
    shown("versions.md", &printed.join("\n"));
}

#[test]
fn callback() {
    prints(
        "callback",
        &[
            "callback may use the dictionary",
            "bonjour le monde = hello the world",
            "bonjour les amis = hello the [amis]",
            "the plugin ended cleanly",
        ],
    );
}

#[test]
fn mux() {
    prints(
        "mux",
        &[
            "Hello, Ada! (asked over a connection of its own)",
            "sockets to connect to: 2",
            "Hello, Ada! (asked over one connection)",
            "sockets to connect to: 0",
        ],
    );
}

#[test]
fn static_tls() {
    let lines = lines("static-tls");
    assert!(lines[0].starts_with("the plugin listens on tcp:127.0.0.1:"), "{lines:#?}");
    assert!(lines[0].ends_with(", mutual TLS: true"), "{lines:#?}");
    assert_eq!(lines[1], "Hello, Ada!");
    assert!(lines[2].starts_with("an unauthorized host is refused: "), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line.starts_with("  code: ") && line.ends_with("::host_refused")),
        "{lines:#?}"
    );
    assert_eq!(lines.last().unwrap(), "the plugin ended cleanly");
}

#[test]
fn rate_limit() {
    prints(
        "rate-limit",
        &[
            "Hello, Ada!",
            "Hello, Grace!",
            "Hello, Edsger!",
            "Barbara waits: ResourceExhausted, with a pause: true",
            "the plugin is still Serving",
            "the plugin ended cleanly",
        ],
    );
}

#[test]
fn grafana_plugin() {
    prints(
        "grafana-plugin",
        &[
            "OK: the clock ticks",
            r#"time: 200 {"time":"noon"}"#,
            r#"place: 404 {"error":"there is only the time"}"#,
            "the plugin ended cleanly",
        ],
    );
}

#[test]
fn health() {
    prints(
        "health",
        &[
            "plugin: Serving",
            "greeter: NOT_SERVING",
            "greeter: SERVING",
            "Hello, Ada!",
            "greeter: NOT_SERVING",
            "the plugin ended cleanly",
        ],
    );
}

#[test]
fn supervise() {
    let lines = exactly::<9>("supervise");
    let (medusa, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with("Medusa: "));
    assert_eq!(
        others,
        [
            "generation 1 is ready",
            "Hello, Ada!",
            "generation 2 is ready",
            "Hello, Grace!",
            "generation 3 is ready",
            "restarted: true",
            "Hello, Barbara!",
            "the plugin ended cleanly",
        ]
    );
    assert!(medusa[0].contains("has ended: signal 6 (SIGABRT"), "{medusa:?}");
}

#[test]
fn reattach() {
    let [old, new, written, ended] = &exactly::<4>("reattach");
    let process = old.strip_prefix("the old host hands over process ").unwrap();
    assert_eq!(new, &format!("the new host attaches to process {process}"));
    assert_eq!(written, "written by the old host");
    assert_eq!(ended, "the plugin ended");
}

#[test]
fn custom_runner() {
    prints("custom-runner", &["Hello, Ada! I may open 123 files.", "the plugin ended cleanly"]);
}

#[test]
fn log_forwarding() {
    // Output and logs arrive in any order.
    let mut lines = lines("log-forwarding");
    lines.sort();
    assert_eq!(
        lines,
        [
            "Hello, Ada!",
            r#"log of log-forwarding: warn a guest is at the door [("guest", "\"Ada\"")]"#,
            "stdout of log-forwarding: printed by its child",
            "stdout of log-forwarding: printed by the plugin",
            "the plugin ended cleanly",
        ]
    );
    lines
        .iter()
        .filter(|line| line.contains(" of log-forwarding: "))
        .for_each(|line| shown("logging.md", line));
}

#[test]
fn instances() {
    // Logs arrive in any order.
    let (mut logs, lines): (Vec<_>, Vec<_>) =
        lines("instances").into_iter().partition(|line| line.starts_with("log: "));
    assert_eq!(
        lines,
        [
            "tenants/acme: Hello, Ada!",
            "tenants/bistro: Bonjour, Ada!",
            "tenants/none is refused: a tenant needs a token",
            r#"after the removal of tenants/acme: ["tenants/bistro"]"#,
            "the plugin ended cleanly",
        ]
    );
    logs.sort();
    assert_eq!(
        logs,
        ["acme", "bistro"].map(|tenant| {
            format!(r#"log: a guest has arrived [("number", "1"), ("instance", "\"tenants/{tenant}\"")]"#)
        })
    );
    shown("instances.md", &logs[0]);
}

#[test]
fn self_launching() {
    let [before, failed, after] = &exactly::<3>("self-launching");
    assert_eq!((before.as_str(), after.as_str()), ("Hello, Ada!", "Hello, Grace!"));
    assert!(failed.starts_with("the work failed, the program goes on: "), "{failed}");
    assert!(failed.contains("has ended: signal "), "{failed}");
}

#[test]
fn remote() {
    prints(
        "remote",
        &["Hello, Ada!", "a host without a certificate is refused", "the service ended: exit status: 0"],
    );
}

#[test]
fn sidecars() {
    let printed = lines("sidecars");
    let failed = printed.last().unwrap();
    assert!(
        failed.starts_with("english: no process listens on the socket ") && failed.ends_with("english.sock")
    );
    let printed = &printed[..printed.len() - 1];
    assert_eq!(
        printed,
        [
            "english is there, and serves rpcplugin.examples.greeter.v1.Greeter: true",
            "Hello, Ada!",
            "french is there, and serves rpcplugin.examples.greeter.v1.Greeter: true",
            "Bonjour, Ada!",
            "english is gone: its process has exited",
        ]
    );
    shown("sidecars.md", &printed.join("\n"));
}

#[test]
fn settings() {
    let program = example("settings");
    let output = Command::new(program).env("PLUGIN_STOP_GRACE_PERIOD", "3s").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    for line in [
        "launch_timeout = 20s (host.toml:2:18)",
        "grace = 3s (PLUGIN_STOP_GRACE_PERIOD)",
        "multiplex = true (the program)",
        "supervision.max_restarts = 10 (host.toml:6:16)",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line:?} is not in\n{printed}");
    }
    shown("configuration.md", &printed.lines().take(3).collect::<Vec<_>>().join("\n"));
    for fault in ["grace cannot be \"soon\"", "there is no setting `colour`"] {
        assert!(printed.contains(fault), "{fault:?} is not in\n{printed}");
    }
}

#[test]
fn streams() {
    use std::io::{BufRead as _, BufReader, Read as _};

    use rustix::process::{Pid, Signal, kill_process};

    let mut host = Command::new(example("streams"));
    host.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut host = host.spawn().unwrap();
    let mut stdout = BufReader::new(host.stdout.take().unwrap());
    let mut printed = String::new();
    while !printed.ends_with("indexing until Ctrl-C\n") {
        assert_ne!(stdout.read_line(&mut printed).unwrap(), 0, "{printed}");
    }
    kill_process(Pid::from_child(&host), Signal::INT).unwrap();
    stdout.read_to_string(&mut printed).unwrap();
    let mut log = String::new();
    host.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(host.wait().unwrap().success(), "{printed}{log}");
    assert_eq!(
        printed,
        "1 of 3: a.txt\n2 of 3: b.txt\n3 of 3: c.txt\n\
         document 1 is enough\n\
         DeadlineExceeded: the call's deadline has passed\n\
         indexing until Ctrl-C\n\
         the plugin ended cleanly\n"
    );
    shown("streams.md", &printed);
    let mut events: Vec<_> = log.lines().filter_map(|line| Some(line.split_once(" streams: ")?.1)).collect();
    events.sort_unstable();
    assert_eq!(
        events,
        [
            "indexed all documents",
            // By a drop, and by Ctrl-C.
            "the call is cancelled",
            "the call is cancelled",
            "the handler is dropped",
        ]
    );
}

#[test]
fn long_work() {
    let lines = exactly::<5>("long-work");
    assert_eq!(
        lines,
        [
            "1 of 5000 documents are indexed",
            "found meanwhile: needles.txt",
            "health meanwhile: Serving",
            "the stream ended: the plugin shuts down",
            "the plugin ended cleanly",
        ]
    );
    shown("long-work.md", &lines.join("\n"));
}

#[test]
fn user_errors() {
    let printed = lines("user-errors").join("\n");
    let mut reports = printed.split("\n\n");
    let missing = reports.next().unwrap();
    assert!(missing.starts_with("The plugin ./greeter-that-is-not-there is not installed.\n"), "{missing}");
    assert!(missing.contains("  code: rpcplugin::transport::plugin_not_found"), "{missing}");
    let refused = reports.next().unwrap();
    assert_eq!(refused, "the name is empty\n  help: write the name of the person\n  code: NAME_REFUSED");
    let died = reports.next().unwrap();
    assert!(died.contains("has ended: signal 6 (SIGABRT"), "{died}");
    assert!(died.contains("  code: rpcplugin::transport::plugin_ended"), "{died}");
    for report in [missing, refused] {
        shown("user-errors.md", report);
    }
}

#[test]
fn pyvider_names() {
    prints("pyvider-names", &["Hello, Ada!", "the plugin ended cleanly"]);
}

#[test]
fn quickstart() {
    let lines = lines("quickstart");
    for line in [
        "plugin quickstart",
        "  version       1",
        "  security      mutual TLS, ephemeral certificates",
        "  get apple     red",
        "  get durian    NotFound: no such key: durian",
        "  list          apple = red",
    ] {
        assert!(lines.iter().any(|printed| printed == line), "{line:?} is not in {lines:#?}");
    }
}

#[test]
fn terraform_host() {
    let provider = env!("CARGO_BIN_EXE_terraform-provider-demo");
    let output =
        Command::new(example("terraform-host")).args([provider, "add", "0.1", "0.2"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    for line in
        ["  function add(a number, b number) number", "add(0.1, 0.2) = \"0.3\"", "the provider ended cleanly"]
    {
        assert!(printed.lines().any(|printed| printed == line), "{line:?} is not in\n{printed}");
    }
}

#[test]
fn kv_host_and_plugin() {
    example("kv-plugin");
    prints("kv-host", &["hello, plugin", "the plugin ended cleanly"]);
}

/// Fails unless the example prints these lines.
#[track_caller]
fn prints(name: &str, expected: &[&str]) {
    assert_eq!(lines(name), expected);
}

/// The lines that the example prints. Their number must be `N`.
#[track_caller]
fn exactly<const N: usize>(name: &str) -> [String; N] {
    lines(name).try_into().unwrap_or_else(|lines: Vec<_>| panic!("{} lines: {lines:#?}", lines.len()))
}

/// The first lines that the example prints.
#[track_caller]
fn starts<const N: usize>(name: &str) -> [String; N] {
    let lines = lines(name);
    assert!(lines.len() >= N, "{lines:#?}");
    lines.into_iter().take(N).collect::<Vec<_>>().try_into().unwrap()
}

/// All lines that the example prints. The example must succeed.
#[track_caller]
fn lines(name: &str) -> Vec<String> {
    let output = Command::new(example(name)).stdin(Stdio::null()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed.lines().map(str::to_owned).collect()
}
