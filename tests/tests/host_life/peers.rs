//! The same with plugins in other languages.

use std::error::Error as _;

use miette::Diagnostic as _;
use rpcplugin::{
    AttachError, Command, Event, Exit, ExitReason, OutputOptions, OutputSource, PlainReport, PluginExited,
    ReasonKind, ServingStatus, config::HostTls,
};
use rpcplugin_tests::pb::{
    EchoRequest, ExitRequest, LogLineRequest, PanicRequest, SleepRequest, WriteStdioRequest,
    kit_client::KitClient,
};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::support::{PATIENCE, Place, client, peer, process_state, send};

async fn stops_cleanly(command: Command) {
    let place = Place::new();
    let plugin = place.launch(command).await;
    let pid = plugin.pid().unwrap().get();
    assert_eq!(plugin.ping().await.unwrap(), ServingStatus::Serving);
    client(&plugin).echo(EchoRequest::default()).await.unwrap();
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    assert_eq!(process_state(pid), None);
    assert!(place.is_tidy());
}

async fn says_how_it_ended(command: Command) {
    let place = Place::new();
    let plugin = place.launch(command).await;
    let mut kit = KitClient::new(plugin.channel());
    let mut other = kit.clone();
    let (under_way, _) =
        tokio::join!(kit.sleep(SleepRequest { ms: 600_000 }), other.exit(ExitRequest { code: 3 }));
    let under_way = under_way.unwrap_err();
    assert!(under_way.message().ends_with("has ended: exit status 3"), "{under_way:?}");
    assert_eq!(plugin.wait().await, ExitReason::Status(3));
}

/// It panics of a call, and the host learns of what it ended: how, in its own words, and by its last lines.
async fn says_what_it_ended_of(command: Command, status: i32) {
    const LINES: usize = 60;
    let place = Place::configured(|host| host.configure(|config| config.stderr_tail_lines = LINES));
    let plugin = place.launch(command).await;
    let mut kit = KitClient::new(plugin.channel());
    let mut other = kit.clone();
    let panic = PanicRequest { message: "no \u{1b}[31mdatabase\u{7}".to_owned() };
    let (under_way, panicked) = tokio::join!(kit.sleep(SleepRequest { ms: 600_000 }), other.panic(panic));
    let later = plugin.explain(client(&plugin).echo(EchoRequest::default()).await.unwrap_err()).await;
    for failed in [under_way.unwrap_err(), panicked.unwrap_err(), later] {
        let ended: &PluginExited = failed.source().and_then(|source| source.downcast_ref()).unwrap();
        assert_eq!(ended.code().unwrap().to_string(), "rpcplugin::transport::plugin_ended");
        assert_eq!(ended.reason, ExitReason::Status(status));
        // All of it has been read by then.
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

async fn comes_back(command: Command) {
    let place = Place::configured(|host| {
        host.configure(|config| config.supervision.initial = std::time::Duration::from_millis(1))
    });
    let supervised = place.host.supervise(command).await.unwrap();
    let mut kit = KitClient::new(supervised.channel());
    for number in 0..3 {
        let generation = timeout(PATIENCE, supervised.later_generation(number)).await.unwrap().unwrap();
        kit.echo(EchoRequest::default()).await.unwrap();
        send(generation.plugin().pid.unwrap().get(), Signal::KILL);
    }
    timeout(PATIENCE, supervised.later_generation(3)).await.unwrap().unwrap();
    kit.echo(EchoRequest::default()).await.unwrap();
    assert_eq!(supervised.shut_down().await, Some(Exit::Clean));
    assert!(place.is_tidy());
}

#[tokio::test]
async fn go_stops_cleanly() {
    if let Some(command) = peer("go") {
        stops_cleanly(command).await;
    }
}

#[tokio::test]
async fn go_says_how_it_ended() {
    if let Some(command) = peer("go") {
        says_how_it_ended(command).await;
    }
}

#[tokio::test]
async fn go_says_what_it_ended_of() {
    if let Some(command) = peer("go") {
        says_what_it_ended_of(command, 2).await;
    }
}

#[tokio::test]
async fn go_comes_back() {
    if let Some(command) = peer("go") {
        comes_back(command).await;
    }
}

#[tokio::test]
async fn go_prints_logs_and_panics() {
    let Some(command) = peer("go") else { return };
    let place = Place::new();
    let plugin = place.launch(command).await;
    let (mut output, mut events) = (plugin.output(OutputOptions::default()), plugin.events());
    let mut kit = client(&plugin);
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    let request = WriteStdioRequest { stdout: bytes.clone(), stderr: b"err".to_vec(), ..Default::default() };
    timeout(PATIENCE, kit.write_stdio(request)).await.unwrap().unwrap();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while stdout.len() < bytes.len() || stderr.len() < 3 {
        let chunk = timeout(PATIENCE, output.next()).await.unwrap().unwrap();
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
    kit.panic(PanicRequest { message: "go gave up".to_owned() }).await.unwrap_err();
    let (mut logged, mut panicked) = (None, None);
    while let Some(event) = timeout(PATIENCE, events.next()).await.unwrap() {
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
    assert!(panicked.message.contains("go gave up") && panicked.message.lines().count() > 5, "{panicked:?}");
}

#[tokio::test]
async fn python_stops_cleanly() {
    if let Some(command) = peer("python") {
        stops_cleanly(command).await;
    }
}

#[tokio::test]
async fn python_says_how_it_ended() {
    if let Some(command) = peer("python") {
        says_how_it_ended(command).await;
    }
}

#[tokio::test]
async fn python_comes_back() {
    if let Some(command) = peer("python") {
        comes_back(command).await;
    }
}

/// A second host uses and ends a plugin that the first has started.
async fn is_attached_to(command: Command) {
    let place = Place::configured(|host| host.configure(|config| config.tls = HostTls::Plaintext));
    let first = place.launch(command).await;
    let second = place.host.attach(first.reattach_config()).await.unwrap();
    assert_eq!(
        (second.pid().unwrap().get(), second.version()),
        (first.pid().unwrap().get(), first.version())
    );
    assert_eq!(second.ping().await.unwrap(), ServingStatus::Serving);
    client(&second).echo(EchoRequest::default()).await.unwrap();
    assert_eq!(second.shut_down().await, Exit::Ended);
    assert!(timeout(PATIENCE, first.wait()).await.unwrap().is_success());
    let error = place.host.attach(first.reattach_config()).await.unwrap_err();
    assert!(matches!(error, AttachError::NoPlugin { .. }), "{error:?}");
    drop(first);
    assert!(place.is_tidy());
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

/// Launched by hosts that are wrong for it.
async fn is_refused(command: Command) {
    let refused = async |place: Place, command: Command| {
        let error = place.host.launch(command).await.unwrap_err();
        assert!(place.is_tidy());
        let code = error.code().map(|code| code.to_string()).unwrap_or_default();
        (code, error)
    };
    let (code, error) = refused(Place::new(), command.clone().env("CONFORMANCE_KIT_COOKIE", "another")).await;
    assert_eq!(code, "rpcplugin::handshake::cookie_refused", "{error:?}");
    let (code, error) = refused(Place::with_versions([6, 7]), command.clone()).await;
    assert_eq!(code, "rpcplugin::protocol::version_not_offered", "{error:?}");
    let (code, error) = refused(Place::new(), command.arg("--no-such-flag")).await;
    assert_eq!(code, "rpcplugin::handshake::exited_early", "{error:?}");
    assert!(PlainReport(&error).to_string().contains("no-such-flag"), "its own words are told: {error:?}");
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
