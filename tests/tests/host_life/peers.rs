//! Plugins in other languages.

use std::error::Error as _;

use miette::Diagnostic as _;
use rpcplugin::{
    Command, Exit,
    config::HostTls,
    error::PlainReport,
    host::{AttachError, Event, ExitReason, OutputOptions, OutputSource, PluginExited, ReasonKind},
    plugin::ServingStatus,
};
use rpcplugin_tests::{
    pb::{
        EchoRequest, ExitRequest, LogLineRequest, PanicRequest, SleepRequest, WriteStdioRequest,
        kit_client::KitClient,
    },
    support::{
        TIMEOUT,
        conformance::client,
        process::{send, state},
    },
};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::support::{TestHost, peer};

async fn stops_cleanly(command: Command) {
    let test_host = TestHost::new();
    let plugin = test_host.launch(command).await;
    let pid = plugin.pid().unwrap();
    assert_eq!(plugin.ping().await.unwrap(), ServingStatus::Serving);
    client(&plugin).echo(EchoRequest::default()).await.unwrap();
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    assert_eq!(state(pid), None);
    assert!(test_host.is_clean());
}

async fn reports_how_it_ended(command: Command) {
    let test_host = TestHost::new();
    let plugin = test_host.launch(command).await;
    let mut kit = KitClient::new(plugin.channel());
    let mut other = kit.clone();
    let (in_flight, _) =
        tokio::join!(kit.sleep(SleepRequest { ms: 600_000 }), other.exit(ExitRequest { code: 3 }));
    let in_flight = in_flight.unwrap_err();
    assert!(in_flight.message().ends_with("has ended: exit status 3"), "{in_flight:?}");
    assert_eq!(plugin.wait().await, ExitReason::Status(3));
}

/// A plugin that panics in a call. The host reports its exit, its reason and its last lines.
async fn reports_why_it_ended(command: Command, status: i32) {
    const LINES: usize = 60;
    let test_host = TestHost::configured(|host| host.configure(|config| config.stderr_tail_lines = LINES));
    let plugin = test_host.launch(command).await;
    let mut kit = KitClient::new(plugin.channel());
    let mut other = kit.clone();
    let panic = PanicRequest { message: "no \u{1b}[31mdatabase\u{7}".to_owned() };
    let (in_flight, panicked) = tokio::join!(kit.sleep(SleepRequest { ms: 600_000 }), other.panic(panic));
    let later = plugin.explain(client(&plugin).echo(EchoRequest::default()).await.unwrap_err()).await;
    for failed in [in_flight.unwrap_err(), panicked.unwrap_err(), later] {
        let ended: &PluginExited = failed.source().and_then(|source| source.downcast_ref()).unwrap();
        assert_eq!(ended.code().unwrap().to_string(), "rpcplugin::transport::plugin_ended");
        assert_eq!(ended.reason, ExitReason::Status(status));
        // The stderr has been read to its end.
        assert_eq!(*ended.stderr, plugin.stderr_tail()[..]);
        assert!(ended.stderr.iter().any(|line| line.contains("database")), "{:#?}", ended.stderr);
        assert!(
            ended.stderr.len() <= LINES
                && ended.stderr.concat().chars().all(|c| c == '\t' || !c.is_control())
        );
        let said = ended.said.as_ref().unwrap();
        assert_eq!(said.kind, ReasonKind::Panic);
        assert!(
            failed.message().contains(&format!("has ended: exit status {status}; it panicked: ")),
            "{failed:?}"
        );
        assert!(
            said.message.contains("database") && !failed.message().contains(char::is_control),
            "{failed:?}"
        );
        let evidence = ended.related().unwrap().next().unwrap();
        assert!(evidence.to_string().starts_with("stderr of the plugin:\n  "), "{evidence}");
        let details = String::from_utf8_lossy(failed.details()).into_owned();
        assert!(details.contains("PLUGIN_ENDED") && details.contains("stderr") && details.len() < 4096);
    }
}

async fn is_restarted(command: Command) {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| config.supervision.initial = std::time::Duration::from_millis(1))
    });
    let supervised = test_host.host.supervise(command).await.unwrap();
    let mut kit = KitClient::new(supervised.channel());
    for number in 0..3 {
        let generation = timeout(TIMEOUT, supervised.later_generation(number)).await.unwrap().unwrap();
        kit.echo(EchoRequest::default()).await.unwrap();
        send(generation.plugin().pid.unwrap(), Signal::KILL);
    }
    timeout(TIMEOUT, supervised.later_generation(3)).await.unwrap().unwrap();
    kit.echo(EchoRequest::default()).await.unwrap();
    assert_eq!(supervised.shut_down().await, Some(Exit::Clean));
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn go_stops_cleanly() {
    if let Some(command) = peer("go") {
        stops_cleanly(command).await;
    }
}

#[tokio::test]
async fn go_reports_how_it_ended() {
    if let Some(command) = peer("go") {
        reports_how_it_ended(command).await;
    }
}

#[tokio::test]
async fn go_reports_why_it_ended() {
    if let Some(command) = peer("go") {
        reports_why_it_ended(command, 2).await;
    }
}

#[tokio::test]
async fn go_is_restarted() {
    if let Some(command) = peer("go") {
        is_restarted(command).await;
    }
}

#[tokio::test]
async fn go_prints_logs_and_panics() {
    let Some(command) = peer("go") else { return };
    let test_host = TestHost::new();
    let plugin = test_host.launch(command).await;
    let (mut output, mut events) = (plugin.output(OutputOptions::default()), plugin.events());
    let mut kit = client(&plugin);
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    let request = WriteStdioRequest { stdout: bytes.clone(), stderr: b"err".to_vec(), ..Default::default() };
    timeout(TIMEOUT, kit.write_stdio(request)).await.unwrap().unwrap();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while stdout.len() < bytes.len() || stderr.len() < 3 {
        let chunk = timeout(TIMEOUT, output.next()).await.unwrap().unwrap();
        match chunk.source {
            OutputSource::Stdout => stdout.extend_from_slice(&chunk.bytes),
            _ => stderr.extend_from_slice(&chunk.bytes),
        }
    }
    assert!(stdout == bytes && stderr == b"err");

    let line = LogLineRequest {
        level: "error".to_owned(),
        message: "from Go".to_owned(),
        module: "m".to_owned(),
        ..Default::default()
    };
    kit.log_line(line).await.unwrap();
    kit.panic(PanicRequest { message: "go panicked".to_owned() }).await.unwrap_err();
    let (mut logged, mut panicked) = (None, None);
    while let Some(event) = timeout(TIMEOUT, events.next()).await.unwrap() {
        match event.event {
            Event::Log(record) if record.message == "from Go" => logged = Some(record),
            Event::Log(record) if record.is_panic => panicked = Some(record),
            Event::Exited { reason } => assert_eq!(reason, ExitReason::Status(2)),
            _ => {}
        }
        if logged.is_some() && panicked.is_some() {
            break;
        }
    }
    assert_eq!(logged.unwrap().module.as_deref(), Some("m"));
    let panicked = panicked.unwrap();
    assert!(panicked.message.starts_with("panic: "), "{panicked:?}");
    assert!(panicked.message.contains("go panicked") && panicked.message.lines().count() > 5, "{panicked:?}");
}

#[tokio::test]
async fn python_stops_cleanly() {
    if let Some(command) = peer("python") {
        stops_cleanly(command).await;
    }
}

#[tokio::test]
async fn python_reports_how_it_ended() {
    if let Some(command) = peer("python") {
        reports_how_it_ended(command).await;
    }
}

#[tokio::test]
async fn python_is_restarted() {
    if let Some(command) = peer("python") {
        is_restarted(command).await;
    }
}

/// A second host uses and ends a plugin that the first host launched.
async fn is_attached_to(command: Command) {
    let test_host = TestHost::configured(|host| host.configure(|config| config.tls = HostTls::Plaintext));
    let first = test_host.launch(command).await;
    let second = test_host.host.attach(first.reattach_config()).await.unwrap();
    assert_eq!((second.pid(), second.version()), (first.pid(), first.version()));
    assert_eq!(second.ping().await.unwrap(), ServingStatus::Serving);
    client(&second).echo(EchoRequest::default()).await.unwrap();
    assert_eq!(second.shut_down().await, Exit::Ended);
    assert!(timeout(TIMEOUT, first.wait()).await.unwrap().is_success());
    let error = test_host.host.attach(first.reattach_config()).await.unwrap_err();
    assert!(matches!(error, AttachError::NoPlugin { .. }), "{error:?}");
    drop(first);
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn go_is_attached_to() {
    if let Some(command) = peer("go") {
        is_attached_to(command).await;
    }
}

#[tokio::test]
async fn python_is_attached_to() {
    if let Some(command) = peer("python") {
        is_attached_to(command).await;
    }
}

/// Hosts with another cookie, other versions, or wrong arguments.
async fn is_refused(command: Command) {
    let refused = async |test_host: TestHost, command: Command| {
        let error = test_host.host.launch(command).await.unwrap_err();
        assert!(test_host.is_clean());
        let code = error.code().map(|code| code.to_string()).unwrap_or_default();
        (code, error)
    };
    let (code, error) =
        refused(TestHost::new(), command.clone().env("CONFORMANCE_KIT_COOKIE", "another")).await;
    assert_eq!(code, "rpcplugin::handshake::cookie_refused", "{error:?}");
    let (code, error) = refused(TestHost::with_versions([6, 7]), command.clone()).await;
    assert_eq!(code, "rpcplugin::protocol::version_not_offered", "{error:?}");
    let (code, error) = refused(TestHost::new(), command.arg("--no-such-flag")).await;
    assert_eq!(code, "rpcplugin::handshake::exited_early", "{error:?}");
    assert!(
        PlainReport(&error).to_string().contains("no-such-flag"),
        "the error quotes the plugin: {error:?}"
    );
}

#[tokio::test]
async fn go_is_refused_for_a_reason() {
    let Some(command) = peer("go") else { return };
    is_refused(command).await;
}

#[tokio::test]
async fn python_is_refused_for_a_reason() {
    let Some(command) = peer("python") else { return };
    is_refused(command).await;
}
