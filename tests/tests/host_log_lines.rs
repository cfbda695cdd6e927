//! The log of a plugin at the host: as lines of a subscriber, and on stderr without a subscriber.
#![cfg(unix)]

use std::{
    io,
    process::{Command as Process, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use rpcplugin::{
    Host,
    config::{HostConfig, HostTls},
    host::{LogRecord, Observer},
};
use rpcplugin_tests::support::{
    faulty::{faulty, host},
    scripts::script,
    wait::eventually_within,
};

/// The output of a subscriber.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).lines().map(str::to_owned).collect()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In a process of its own, because tracing caches for the whole process whether an event is enabled.
#[test]
fn a_record_is_a_line_with_the_name_of_the_plugin_and_its_fields() {
    stderr_of("lines", "record");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
async fn lines() {
    if std::env::var("HOST_LOG_LINES").as_deref() != Ok("record") {
        return;
    }
    let written = Written::default();
    let sink = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || sink.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    let _subscribed = tracing::subscriber::set_default(subscriber);
    let plugin = host(|_| {}).launch(faulty("logs")).await.expect("the plugin starts");
    let added = r#" INFO faulty-plugin: added word="a" count=1 ok=true"#.to_owned();
    eventually_within(Duration::from_secs(10), "the record is written", || written.lines().contains(&added))
        .await;
    let pid = plugin.pid().expect("the plugin was launched");
    plugin.shut_down().await;
    let lines = written.lines();
    let ready: Vec<_> = lines.iter().filter(|line| line.contains("plugin ready")).collect();
    let [ready] = ready[..] else { panic!("{lines:#?}") };
    for field in ["plugin.path=", &format!("plugin.pid={pid}"), "plugin.version=1", "endpoint=unix:"] {
        assert_eq!(ready.matches(field).count(), 1, "{field}: {ready}");
        let others = lines.iter().filter(|line| *line != ready && line.contains(field)).count();
        assert_eq!(others, 0, "{field}: {lines:#?}");
    }
}

/// An observer of the log.
struct Taker;

impl Observer for Taker {
    fn log(&self, _: &LogRecord) {}
}

/// An observer that does not take logs.
struct Counter;

impl Observer for Counter {
    fn takes_logs(&self) -> bool {
        false
    }
}

/// The host of the following tests, which start this test in another process. Without its variable, it does nothing.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
async fn child() {
    let Ok(case) = std::env::var("HOST_LOG_LINES") else { return };
    if case == "subscriber" {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).expect("the first");
    }
    let host: Host = host(|config: &mut HostConfig| {
        config.tls = HostTls::Plaintext;
        config.print_logs = case != "off";
    });
    let host = match &*case {
        "observer" => host.observe(Taker),
        "counter" => host.observe(Counter),
        _ => host,
    };
    let error = r#"{"@level":"error","@message":"no \\u001b[31mspace","@module":"disk","left":0}"#;
    let text = format!(
        "printf '%b\\n' '[INFO] all is well' '[WARN] nearly full' '{error}' 'panic: boom\\n\\ngoroutine 1 [running]:' >&2; exit 3"
    );
    host.launch(script(&text)).await.expect_err("the script exits");
}

/// The stderr of the test in another process.
fn stderr_of(test: &str, case: &str) -> String {
    let output = Process::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env("HOST_LOG_LINES", case)
        .stdout(Stdio::null())
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_a_subscriber_warnings_errors_and_panics_are_on_stderr() {
    for case in ["", "counter"] {
        assert_eq!(
            stderr_of("child", case),
            "WARN sh: [WARN] nearly full\nERROR sh: no \\u{1b}[31mspace left=0\nERROR sh: panic: boom\n    \n    \
             goroutine 1 [running]:\n",
            "{case}"
        );
    }
}

#[test]
fn an_observer_of_logs_or_the_setting_keeps_stderr_quiet() {
    for case in ["subscriber", "observer", "off"] {
        assert_eq!(stderr_of("child", case), "", "{case}");
    }
}

#[test]
fn a_host_warns_of_a_misspelt_variable() {
    let host = Process::new(env!("CARGO_BIN_EXE_settings-host"))
        .arg("/no/such/plugin")
        .env("PLUGIN_HANDSHAKE_TIMOUT", "2s")
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&host.stderr);
    let warning =
        "[WARN] PLUGIN_HANDSHAKE_TIMOUT is not a setting; the nearest is PLUGIN_HANDSHAKE_TIMEOUT\n";
    assert_eq!(stderr.matches(warning).count(), 1, "{stderr}");
}

#[tokio::test]
async fn a_plugin_logs_a_warning_of_a_misspelt_variable() {
    let command = faulty("healthy").env("PLUGIN_SERVER_TRANSPORT", "tcp").env("PLUGIN_DIR", "/");
    let plugin = host(|_| {}).launch(command).await.expect("the plugin starts");
    let warning = "PLUGIN_SERVER_TRANSPORT is not a setting; the nearest is PLUGIN_SERVER_TRANSPORTS";
    let log = || plugin.stderr_tail().join("\n");
    eventually_within(Duration::from_secs(10), "the warning is written", || log().contains(warning)).await;
    assert!(!log().contains("PLUGIN_DIR"), "{}", log());
}
