//! Each setting of a host changes what a host does with real processes. The tests bear the settings' names, and set
//! them as an operator does, in the environment.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "settings/peers.rs"]
mod peers;
#[path = "settings/raw_http2.rs"]
mod raw_http2;
#[path = "settings/support.rs"]
#[expect(dead_code, reason = "the tests of plugins need more of it")]
mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::Engine as _;
use miette::Diagnostic as _;
use rpcplugin::{
    Attachment, Command, Event, Events, Exit, Host, LaunchError, LogRecord, MagicCookie, Observer, Plugin,
    PluginChannel, ServiceId, Services, Supervised,
    config::{HostConfig, HostTls, Loader},
    mtls::{Identity, RootCertificates, Trust},
    pyvider::plugin_client,
};
use rpcplugin_tests::{
    freeze,
    pb::{BigPayloadRequest, EchoRequest, EnvRequest, WriteStdioRequest, kit_client::KitClient},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;
use tonic::Code;
use tonic_health::{ServingStatus, server::health_reporter};

use crate::{
    peers::{Mute, Server, StubbornController, says, script},
    raw_http2::{Announced, Frames},
    support::{PATIENCE, client, code, eventually, host, is_alive, plugin},
};

/// A host with these variables in its environment.
fn with(variables: &[(&str, &str)]) -> Host {
    host().config(config(variables))
}

fn config(variables: &[(&str, &str)]) -> HostConfig {
    Loader::new().env(variables.iter().copied()).host().unwrap()
}

/// As [`with`], for plugins that are scripts and know no TLS.
fn plain(variables: &[(&str, &str)]) -> Host {
    with(variables).configure(|config| config.tls = HostTls::Plaintext)
}

/// Launches the conformance plugin.
async fn launch(variables: &[(&str, &str)]) -> Plugin {
    with(variables).launch(plugin(&[])).await.unwrap()
}

#[track_caller]
fn fault(launched: Result<Plugin, LaunchError>) -> String {
    launched.unwrap_err().fault.code().unwrap().to_string()
}

/// What the plugin sees in its environment.
async fn env(plugin: &Plugin, name: &str) -> Option<String> {
    let answer = client(plugin).env(EnvRequest { name: name.to_owned() }).await.unwrap().into_inner();
    answer.present.then_some(answer.value)
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// A server that is well, and never answers when it is asked to end.
async fn healthy() -> Server {
    let (reporter, health) = health_reporter();
    reporter.set_service_status("plugin", ServingStatus::Serving).await;
    Server::new(Services::new().add(health).add(StubbornController::default()))
}

#[tokio::test]
async fn launch_timeout() {
    let error =
        with(&[("PLUGIN_HANDSHAKE_TIMEOUT", "150ms")]).launch(script("exec sleep 60")).await.unwrap_err();
    assert_eq!(error.fault.to_string(), "the plugin printed no handshake line within 0.15 s");
}

#[tokio::test]
async fn connection_timeout() {
    let mute = Mute::new();
    let begun = Instant::now();
    let launched = with(&[("PLUGIN_CONNECTION_TIMEOUT", "100ms")]).launch(says(&mute.secure_line())).await;
    launched.expect_err("nobody speaks TLS there");
    assert!(begun.elapsed() < Duration::from_secs(15), "without it TLS alone may take 20 s");
}

#[tokio::test]
async fn ready_timeout() {
    let mute = Mute::new();
    let begun = Instant::now();
    let launched = plain(&[("PLUGIN_CHANNEL_READY_TIMEOUT", "100ms")]).launch(says(&mute.line())).await;
    assert_eq!(fault(launched), "rpcplugin::transport::not_ready");
    assert!(begun.elapsed() < PATIENCE, "without it the start may take a minute");
}

#[tokio::test]
async fn still_waiting_interval() {
    for (every, told) in [("20ms", true), ("0", false)] {
        let variables = [("PLUGIN_STILL_WAITING_INTERVAL", every), ("PLUGIN_HANDSHAKE_TIMEOUT", "300ms")];
        let host = plain(&variables);
        let mut events = host.events();
        host.launch(script("exec sleep 60")).await.unwrap_err();
        drop(host);
        let mut waited = false;
        while let Some(event) = timeout(PATIENCE, events.next()).await.unwrap() {
            waited |= matches!(event.event, Event::StillWaiting { .. });
        }
        assert_eq!(waited, told, "{every}");
    }
}

#[tokio::test]
async fn busy_timeout() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("busy");
    fs::copy("/bin/true", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let writing = fs::OpenOptions::new().append(true).open(&program).unwrap();
    let launch = async |patience| {
        let launched = plain(&[("PLUGIN_BUSY_TIMEOUT", patience)]).launch(Command::new(&program)).await;
        fault(launched)
    };
    assert_ne!(launch("0").await, "rpcplugin::handshake::exited_early");
    let (ended, ()) = tokio::join!(launch("20s"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(writing);
    });
    assert_eq!(ended, "rpcplugin::handshake::exited_early", "it was started once it was whole");
}

#[tokio::test]
async fn grace() {
    for (grace, at_least) in [("0", Duration::ZERO), ("2500ms", Duration::from_millis(2500))] {
        let server = healthy().await;
        let plugin = plain(&[("PLUGIN_STOP_GRACE_PERIOD", grace)]).launch(says(&server.line)).await.unwrap();
        let Exit::Killed { after, .. } = plugin.shut_down().await else { panic!("it is deaf") };
        // The default is two seconds.
        assert!(after >= at_least && (after < Duration::from_secs(2) || !at_least.is_zero()), "{after:?}");
    }
}

#[tokio::test]
async fn shutdown_timeout() {
    let (reporter, health) = health_reporter();
    reporter.set_service_status("plugin", ServingStatus::Serving).await;
    let controller = StubbornController::default();
    let server = Server::new(Services::new().add(health).add(controller.clone()));
    let variables = [("PLUGIN_SHUTDOWN_TIMEOUT", "50ms"), ("PLUGIN_STOP_GRACE_PERIOD", "30s")];
    let plugin = plain(&variables).launch(says(&server.line)).await.unwrap();
    let pid = plugin.pid().unwrap().get();
    let stopping = tokio::spawn(plugin.shut_down());
    timeout(PATIENCE, controller.cancelled.notified()).await.expect("the call was given up");
    assert!(is_alive(pid), "long before the plugin is killed");
    stopping.abort();
}

#[tokio::test]
async fn terminate_after() {
    let server = healthy().await;
    let polite = format!("trap 'exit 0' TERM; echo '{}'; while :; do sleep 0.02; done", server.line);
    let stop = async |variables: &[(&str, &str)]| {
        plain(variables).launch(script(&polite)).await.unwrap().shut_down().await
    };
    let short = ("PLUGIN_STOP_GRACE_PERIOD", "300ms");
    assert!(matches!(stop(&[short]).await, Exit::Killed { signal: rpcplugin::Signal::KILL, .. }));
    let long = ("PLUGIN_STOP_GRACE_PERIOD", "30s");
    assert_eq!(stop(&[long, ("PLUGIN_TERMINATE_AFTER", "50ms")]).await, Exit::Clean);
}

#[tokio::test]
async fn drain_timeout() {
    let server = healthy().await;
    // Somebody who is not in the plugin's process group keeps its pipes open.
    let leaves = format!("setsid sleep 10 & echo '{}'; exec sleep 60", server.line);
    for (drain, at_least) in [("50ms", Duration::ZERO), ("3s", Duration::from_secs(3))] {
        let variables = [("PLUGIN_DRAIN_TIMEOUT", drain), ("PLUGIN_STOP_GRACE_PERIOD", "0")];
        let plugin = plain(&variables).launch(script(&leaves)).await.unwrap();
        let begun = Instant::now();
        plugin.shut_down().await;
        assert!(begun.elapsed() >= at_least, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(3) || !at_least.is_zero(), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn admin_timeout() {
    let plugin = launch(&[("PLUGIN_ADMIN_TIMEOUT", "60ms")]).await;
    freeze(plugin.pid().unwrap().get()).unwrap();
    let late = plugin.ping().await.unwrap_err();
    assert_eq!(late.to_string(), "the plugin did not answer within 0.06 s");
}

#[tokio::test]
async fn transports() {
    let launched = with(&[("PLUGIN_CLIENT_TRANSPORTS", "tcp")]).launch(plugin(&[])).await;
    assert!(launched.is_err(), "it listens on a Unix socket");
    let tcp = plugin(&[("PLUGIN_SERVER_TRANSPORTS", "tcp")]);
    assert!(with(&[("PLUGIN_CLIENT_TRANSPORTS", "tcp")]).launch(tcp).await.is_ok());
}

#[tokio::test]
async fn auto_mtls() {
    for (value, mutual) in [("true", true), ("false", false)] {
        let plugin = launch(&[("PLUGIN_AUTO_MTLS", value)]).await;
        assert_eq!(plugin.security().is_mutual(), mutual);
        assert_eq!(env(&plugin, "PLUGIN_CLIENT_CERT").await.is_some(), mutual);
    }
}

/// Launches a plugin that knows the certificate of `known`, from a host with this certificate and key.
async fn acquainted(
    known: &Identity,
    certificate: &str,
    key: &str,
    authorities: Option<&Identity>,
) -> Result<Plugin, LaunchError> {
    let own = Identity::generate().unwrap();
    let exported = own.export();
    let authorities = authorities.unwrap_or(&own).certificate_pem();
    let plugin = plugin(&[
        ("PLUGIN_SERVER_CERT", exported.certificates_pem()),
        ("PLUGIN_SERVER_KEY", exported.private_key_pem()),
        ("PLUGIN_CLIENT_ROOT_CERTS", &known.certificate_pem()),
    ]);
    let host = with(&[
        ("PLUGIN_CLIENT_CERT", certificate),
        ("PLUGIN_CLIENT_KEY", key),
        ("PLUGIN_SERVER_ROOT_CERTS", &authorities),
    ]);
    host.launch(plugin).await
}

#[tokio::test]
async fn certificate() {
    let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let (known, unknown) = (one.export(), other.export());
    acquainted(&one, known.certificates_pem(), known.private_key_pem(), None).await.unwrap();
    let stranger = acquainted(&one, unknown.certificates_pem(), unknown.private_key_pem(), None).await;
    stranger.expect_err("the plugin knows another host");
}

#[tokio::test]
async fn private_key() {
    let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let mixed =
        acquainted(&one, one.export().certificates_pem(), other.export().private_key_pem(), None).await;
    assert_eq!(fault(mixed), "rpcplugin::security::host_identity");
}

#[tokio::test]
async fn server_roots() {
    let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let known = one.export();
    let refused = acquainted(&one, known.certificates_pem(), known.private_key_pem(), Some(&other)).await;
    refused.expect_err("the host knows another plugin");
}

/// A certificate that carries this name and no other, and its key.
fn certificate_for(name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    wanted.extended_key_usages =
        vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = wanted.self_signed(&key).unwrap();
    let pem = |label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
}

#[tokio::test]
async fn server_name() {
    let own = Identity::generate().unwrap();
    let exported = own.export();
    for name in ["kv.internal", "192.0.2.7"] {
        let (certificate, key) = certificate_for(name);
        let secured = plugin(&[
            ("PLUGIN_SERVER_CERT", &certificate),
            ("PLUGIN_SERVER_KEY", &key),
            ("PLUGIN_CLIENT_ROOT_CERTS", &own.certificate_pem()),
        ]);
        let host = |name: Option<&str>| {
            with(&[
                ("PLUGIN_CLIENT_CERT", exported.certificates_pem()),
                ("PLUGIN_CLIENT_KEY", exported.private_key_pem()),
                ("PLUGIN_SERVER_ROOT_CERTS", &certificate),
            ])
            .configure(|config| config.server_name = name.map(str::to_owned))
        };
        assert_eq!(config(&[("PLUGIN_SERVER_NAME", name)]).server_name.as_deref(), Some(name));
        let launched = host(Some(name)).launch(secured.clone()).await.unwrap();
        assert!(launched.security().is_mutual());
        host(None).launch(secured.clone()).await.expect_err("it is not localhost");
        host(Some("elsewhere")).launch(secured.clone()).await.expect_err("it is not that");
        assert_eq!(fault(host(Some("no name")).launch(secured).await), "rpcplugin::security::tls_settings");

        // The same for one that runs already.
        let there = || {
            let authorities = RootCertificates::from_pem(&certificate).unwrap();
            let attachment = Attachment::from(launched.reattach_config());
            attachment.secured(own.clone(), Trust::Roots(authorities)).unwrap()
        };
        let host = with(&[]);
        host.attach(there().server_name(name)).await.unwrap().ping().await.unwrap();
        host.attach(there()).await.expect_err("it is not localhost");
        host.attach(there().server_name("no name")).await.expect_err("it is none");
    }
}

#[tokio::test]
async fn multiplex() {
    assert_eq!(env(&launch(&[]).await, "PLUGIN_MULTIPLEX_GRPC").await, None);
    let plugin = launch(&[("PLUGIN_MULTIPLEX_GRPC", "true")]).await;
    assert_eq!(env(&plugin, "PLUGIN_MULTIPLEX_GRPC").await.as_deref(), Some("true"));
    let deaf = with(&[("PLUGIN_MULTIPLEX_GRPC", "true")]).configure(|config| config.tls = HostTls::Plaintext);
    assert_eq!(fault(deaf.launch(says("1|1|unix|/p|grpc|")).await), "rpcplugin::protocol::no_multiplexing");
}

/// The port of a plugin on TCP whose host names this range.
async fn port(min: &str, max: &str) -> u16 {
    let host = with(&[("PLUGIN_MIN_PORT", min), ("PLUGIN_MAX_PORT", max)]);
    let plugin = host.launch(plugin(&[("PLUGIN_SERVER_TRANSPORTS", "tcp")])).await.unwrap();
    plugin.endpoint().address().rsplit_once(':').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn min_port() {
    assert!(port("23456", "25000").await >= 23456);
}

#[tokio::test]
async fn max_port() {
    assert!((5000..6000).contains(&port("5000", "5999").await));
}

#[tokio::test]
async fn unix_socket_dir() {
    let directory = tempfile::TempDir::new_in("/tmp").unwrap();
    let plugin = launch(&[("PLUGIN_UNIX_SOCKET_DIR", directory.path().to_str().unwrap())]).await;
    assert!(plugin.endpoint().address().starts_with(directory.path().to_str().unwrap()));
}

#[tokio::test]
async fn unix_socket_group() {
    let mode = |plugin: &Plugin| {
        fs::metadata(plugin.endpoint().address().as_ref() as &str).unwrap().permissions().mode() & 0o777
    };
    let own = rustix::process::getegid().as_raw().to_string();
    assert_eq!(mode(&launch(&[]).await), 0o600);
    assert_eq!(mode(&launch(&[("PLUGIN_UNIX_SOCKET_GROUP", &own)]).await), 0o660);
}

#[tokio::test]
async fn health_check() {
    let (reporter, health) = health_reporter();
    reporter.set_service_status("plugin", ServingStatus::NotServing).await;
    let server = Server::new(Services::new().add(health));
    assert_eq!(fault(plain(&[]).launch(says(&server.line)).await), "rpcplugin::protocol::not_healthy");
    plain(&[("PLUGIN_HEALTH_CHECK", "false")]).launch(says(&server.line)).await.unwrap();
}

/// A client that heeds what its host is allowed.
fn limited(plugin: &Plugin) -> KitClient<PluginChannel> {
    let rpcplugin::MessageLimits { receive: received, send: sent, .. } = plugin.message_limits();
    client(plugin).max_decoding_message_size(received).max_encoding_message_size(sent)
}

#[tokio::test]
async fn max_receive_message_size() {
    let big = BigPayloadRequest { n: 2000, seed: 0 };
    assert_eq!(code(limited(&launch(&[]).await).big_payload(big).await), Code::Ok);
    let plugin = launch(&[("PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE", "1KiB")]).await;
    assert_eq!(code(limited(&plugin).big_payload(big).await), Code::ResourceExhausted);
}

#[tokio::test]
async fn max_send_message_size() {
    let big = || EchoRequest { data: vec![0; 2000].into() };
    assert_eq!(code(limited(&launch(&[]).await).echo(big()).await), Code::Ok);
    let plugin = launch(&[("PLUGIN_GRPC_MAX_SEND_MESSAGE_SIZE", "1KiB")]).await;
    assert_ne!(code(limited(&plugin).echo(big()).await), Code::Ok);
}

#[tokio::test]
async fn broker_timeout() {
    let plugin = launch(&[("PLUGIN_BROKER_TIMEOUT", "30ms")]).await;
    let error = timeout(PATIENCE, plugin.broker().dial(ServiceId(777))).await.unwrap().unwrap_err();
    assert!(error.to_string().ends_with("within 0.03 s"), "{error}");
}

#[tokio::test]
async fn stray_lines() {
    let server = healthy().await;
    let banner = script(&format!("echo hello; echo '{}'; exec sleep 60", server.line));
    assert_eq!(fault(plain(&[]).launch(banner.clone()).await), "rpcplugin::handshake::invalid_line");
    plain(&[("PLUGIN_STRAY_LINES", "1")]).launch(banner).await.unwrap();
}

#[tokio::test]
async fn print_logs() {
    let program = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    fs::write(&program, "#!/bin/sh\necho '[WARN] nearly full' >&2; exit 3\n").unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let line = format!("WARN {}: [WARN] nearly full\n", program.file_name().unwrap().to_str().unwrap());
    for (value, prints) in [("true", true), ("false", false)] {
        let host = std::process::Command::new(env!("CARGO_BIN_EXE_settings-host"))
            .arg(&program)
            .env("PLUGIN_PRINT_LOGS", value)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&host.stderr);
        assert_eq!(stderr.contains(&line), prints, "{stderr}");
    }
}

#[tokio::test]
async fn handshake_line_limit() {
    let server = healthy().await;
    let long = format!("{}|false|{}", server.line, "x".repeat(6000));
    plain(&[]).launch(says(&long)).await.unwrap();
    let launched = plain(&[("PLUGIN_HANDSHAKE_LINE_LIMIT", "4KiB")]).launch(says(&long)).await;
    assert_eq!(fault(launched), "rpcplugin::handshake::line_too_long");
}

/// The lengths of the records that hold an `x`.
#[derive(Clone, Default)]
struct Lengths(Arc<Mutex<Vec<usize>>>);

impl Observer for Lengths {
    fn log(&self, record: &LogRecord) {
        if record.message.starts_with('x') {
            self.0.lock().unwrap().push(record.message.len());
        }
    }
}

#[tokio::test]
async fn log_line_limit() {
    for (limit, pieces) in [("1KiB", 3), ("64KiB", 1)] {
        let lengths = Lengths::default();
        let host = with(&[("PLUGIN_LOG_LINE_LIMIT", limit)]).observe(lengths.clone());
        let plugin = host.launch(plugin(&[])).await.unwrap();
        let raw_stderr = format!("{}\n", "x".repeat(3000)).into();
        client(&plugin)
            .write_stdio(WriteStdioRequest { raw_stderr, ..WriteStdioRequest::default() })
            .await
            .unwrap();
        let total = || lengths.0.lock().unwrap().iter().sum::<usize>();
        eventually("the line has come", || total() >= 3000).await;
        assert_eq!(lengths.0.lock().unwrap().len(), pieces, "{limit}");
    }
}

/// How many lines are kept of a plugin that wrote ten of fifty bytes.
async fn tail(variables: &[(&str, &str)]) -> usize {
    let writes = "for i in 0 1 2 3 4 5 6 7 8 9; do printf '%049d\\n' $i >&2; done; exit 1";
    plain(variables).launch(script(writes)).await.unwrap_err().facts().stderr.len()
}

#[tokio::test]
async fn stderr_tail_lines() {
    assert_eq!(tail(&[]).await, 10);
    assert_eq!(tail(&[("PLUGIN_STDERR_TAIL_LINES", "3")]).await, 3);
}

#[tokio::test]
async fn stderr_tail_bytes() {
    let kept = tail(&[("PLUGIN_STDERR_TAIL_BYTES", "120")]).await;
    assert!((1..=2).contains(&kept), "{kept}");
}

#[tokio::test]
async fn inherit_env() {
    for (policy, path, home) in [("inherit", true, true), ("clear", false, false), ("PATH", true, false)] {
        let plugin = launch(&[("PLUGIN_INHERIT_ENV", policy)]).await;
        assert_eq!(env(&plugin, "PATH").await.is_some(), path, "{policy}");
        assert_eq!(env(&plugin, "HOME").await.is_some(), home, "{policy}");
    }
}

#[tokio::test]
async fn die_with_host() {
    for (value, dies) in [("true", true), ("false", false)] {
        let mut host = std::process::Command::new(env!("CARGO_BIN_EXE_settings-host"))
            .arg(env!("CARGO_BIN_EXE_settings-plugin"))
            .env("PLUGIN_DIE_WITH_HOST", value)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(host.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        host.kill().unwrap();
        host.wait().unwrap();
        if dies {
            eventually("the plugin ends with its host", || !is_alive(pid)).await;
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(is_alive(pid));
            send(pid, Signal::KILL);
        }
    }
}

#[tokio::test]
async fn orphan_grace() {
    let dir = tempfile::tempdir().unwrap();
    // Two hooks: one is over in a moment, the other takes longer than any test.
    for (value, hook_after, runs) in [("20s", "300", true), ("300ms", "600000", false), ("0", "300", false)] {
        let hook = dir.path().join("hook");
        let mut host = std::process::Command::new(env!("CARGO_BIN_EXE_mortal-host"))
            .arg(env!("CARGO_BIN_EXE_plugin-subject"))
            .args(["--hook-after", hook_after, "--hook"])
            .arg(&hook)
            .env("MORTAL_HOST_COOKIE", "PLUGIN_SUBJECT=yes")
            .env("PLUGIN_GRPC_GRACE_PERIOD", "600")
            .env("PLUGIN_ORPHAN_GRACE", value)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(host.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        host.kill().unwrap();
        host.wait().unwrap();
        eventually("the plugin ends with its host", || !is_alive(pid)).await;
        assert_eq!(hook.exists(), runs, "{value}");
        let _ = fs::remove_file(hook);
    }
}

/// What a host announces of itself on the wire.
async fn announced(variables: &[(&str, &str)]) -> Announced {
    let mute = Mute::new();
    let host = plain(variables).configure(|config| config.launch_timeout = PATIENCE);
    tokio::select! {
        launched = host.launch(says(&mute.line())) => panic!("{launched:?}"),
        announced = async {
            let (stream, _) = mute.socket.accept().await.unwrap();
            Announced::read(stream, false).await.unwrap()
        } => announced,
    }
}

#[tokio::test]
async fn http2_stream_window() {
    assert_eq!(announced(&[("PLUGIN_HTTP2_STREAM_WINDOW", "1MiB")]).await.stream_window(), 1 << 20);
}

#[tokio::test]
async fn http2_connection_window() {
    assert_eq!(announced(&[("PLUGIN_HTTP2_CONNECTION_WINDOW", "3MiB")]).await.connection_window(), 3 << 20);
}

#[tokio::test]
async fn http2_max_frame() {
    assert_eq!(announced(&[("PLUGIN_HTTP2_MAX_FRAME", "32KiB")]).await.max_frame(), 32 << 10);
}

#[tokio::test]
async fn http2_max_headers() {
    assert_eq!(announced(&[("PLUGIN_HTTP2_MAX_HEADERS", "48KiB")]).await.max_headers(), 48 << 10);
}

#[tokio::test]
async fn http2_handshake_timeout() {
    let mute = Mute::new();
    let host = with(&[("PLUGIN_HTTP2_HANDSHAKE_TIMEOUT", "70ms")]);
    let error = host.launch(says(&mute.secure_line())).await.unwrap_err();
    assert!(format!("{error:?}").contains("within 0.07 s"), "{error:?}");
}

/// A supervised conformance plugin, and what happens to it.
async fn supervised(variables: &[(&str, &str)]) -> (Supervised, Events) {
    let quick = [("PLUGIN_RESTART_INITIAL_BACKOFF", "1ms")];
    let variables: Vec<_> = quick.iter().chain(variables).copied().collect();
    let supervised = with(&variables).supervise(plugin(&[])).await.unwrap();
    let events = supervised.events();
    (supervised, events)
}

/// Kills the generation that runs, and tells what its supervisor does then.
async fn after_death(supervised: &Supervised, events: &mut Events) -> Event {
    let running = async {
        loop {
            if let Some(pid) = pid_of(supervised).filter(|pid| is_alive(*pid)) {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    send(timeout(PATIENCE, running).await.unwrap(), Signal::KILL);
    next(events, |event| matches!(event, Event::Restarting { .. } | Event::GaveUp { .. })).await
}

fn pid_of(supervised: &Supervised) -> Option<u32> {
    supervised.generation().and_then(|one| one.plugin().pid.map(rpcplugin::Pid::get))
}

async fn next(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    let found = async {
        loop {
            let event = events.next().await.unwrap().event;
            if wanted(&event) {
                return event;
            }
        }
    };
    timeout(PATIENCE, found).await.unwrap()
}

/// The pauses before the first two restarts.
async fn pauses(variables: &[(&str, &str)]) -> [Duration; 2] {
    let (supervised, mut events) = supervised(variables).await;
    let mut pauses = [Duration::ZERO; 2];
    for pause in &mut pauses {
        let Event::Restarting { delay, .. } = after_death(&supervised, &mut events).await else {
            panic!("it is restarted")
        };
        *pause = delay;
        next(&mut events, |event| matches!(event, Event::Ready { .. })).await;
    }
    pauses
}

#[tokio::test]
async fn supervision_max_restarts() {
    let (one, mut events) = supervised(&[("PLUGIN_RESTART_MAX", "0")]).await;
    assert_eq!(after_death(&one, &mut events).await, Event::GaveUp { restarts: 0 });
    let (one, mut events) = supervised(&[("PLUGIN_RESTART_MAX", "1")]).await;
    assert!(matches!(after_death(&one, &mut events).await, Event::Restarting { .. }));
    next(&mut events, |event| matches!(event, Event::Ready { .. })).await;
    assert_eq!(after_death(&one, &mut events).await, Event::GaveUp { restarts: 1 });
}

#[tokio::test]
async fn supervision_window() {
    let (one, mut events) =
        supervised(&[("PLUGIN_RESTART_MAX", "1"), ("PLUGIN_RESTART_WINDOW", "100ms")]).await;
    for _ in 0..3 {
        assert!(matches!(after_death(&one, &mut events).await, Event::Restarting { .. }));
        next(&mut events, |event| matches!(event, Event::Ready { .. })).await;
        // What was longer ago does not count.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test]
async fn supervision_initial() {
    assert_eq!(pauses(&[("PLUGIN_RESTART_INITIAL_BACKOFF", "7ms")]).await[0], Duration::from_millis(7));
}

#[tokio::test]
async fn supervision_multiplier() {
    let variables = [("PLUGIN_RESTART_INITIAL_BACKOFF", "5ms"), ("PLUGIN_RESTART_BACKOFF_MULTIPLIER", "3")];
    assert_eq!(pauses(&variables).await, [5, 15].map(Duration::from_millis));
}

#[tokio::test]
async fn supervision_max() {
    let variables = [("PLUGIN_RESTART_INITIAL_BACKOFF", "5ms"), ("PLUGIN_RESTART_MAX_BACKOFF", "6ms")];
    assert_eq!(pauses(&variables).await, [5, 6].map(Duration::from_millis));
}

#[tokio::test]
async fn supervision_probe_interval() {
    let (one, mut events) =
        supervised(&[("PLUGIN_PROBE_INTERVAL", "20ms"), ("PLUGIN_PROBE_TIMEOUT", "100ms")]).await;
    freeze(pid_of(&one).unwrap()).unwrap();
    next(&mut events, |event| matches!(event, Event::Hung { .. })).await;
}

#[tokio::test]
async fn supervision_probe_timeout() {
    let (one, mut events) =
        supervised(&[("PLUGIN_PROBE_INTERVAL", "20ms"), ("PLUGIN_PROBE_TIMEOUT", "123ms")]).await;
    freeze(pid_of(&one).unwrap()).unwrap();
    let hung = next(&mut events, |event| matches!(event, Event::Hung { .. })).await;
    assert_eq!(hung, Event::Hung { after: Duration::from_millis(123) });
}

/// A client whose program would show another cookie than its operator.
async fn shows(key: &str, value: &str) -> Result<Plugin, LaunchError> {
    let config = config(&[("PLUGIN_MAGIC_COOKIE_KEY", key), ("PLUGIN_MAGIC_COOKIE_VALUE", value)]);
    let own = MagicCookie::new("ANOTHER", "cookie").unwrap();
    plugin_client(own, 1, plugin(&[]), config).start().await
}

#[tokio::test]
async fn magic_cookie_key() {
    shows("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").await.unwrap();
    shows("ANOTHER_KIT_COOKIE", "b1d0c9a6-conformance").await.expect_err("the plugin looks elsewhere");
}

#[tokio::test]
async fn magic_cookie_value() {
    shows("CONFORMANCE_KIT_COOKIE", "something else").await.expect_err("the plugin wants another");
}

/// How long it takes until a host hangs up on a peer that answers nothing but its first call, and how often it pinged.
/// None when it does neither.
async fn pinged(variables: &[(&str, &str)], patience: Duration) -> Option<usize> {
    let mute = Mute::new();
    let host = plain(variables).configure(|config| {
        config.health_check = false;
        config.launch_timeout = PATIENCE;
    });
    let (launched, connected) = tokio::join!(host.launch(says(&mute.line())), mute.socket.accept());
    let _plugin = launched.unwrap();
    let mut frames = Frames::accept(connected.unwrap().0).await.unwrap();
    timeout(patience, frames.count_pings()).await.ok()
}

const PINGS: [(&str, &str); 2] =
    [("PLUGIN_GRPC_KEEPALIVE_TIME_MS", "1000"), ("PLUGIN_GRPC_KEEPALIVE_PERMITTED", "true")];

#[tokio::test]
async fn keepalive_enabled() {
    let off = [PINGS[0], PINGS[1], ("PLUGIN_GRPC_KEEPALIVE_ENABLED", "false")];
    assert_eq!(pinged(&off, Duration::from_millis(1500)).await, None);
}

#[tokio::test]
async fn keepalive_interval() {
    let variables = [PINGS[0], PINGS[1], ("PLUGIN_GRPC_KEEPALIVE_TIMEOUT_MS", "100")];
    assert!(pinged(&variables, PATIENCE).await.is_some_and(|pings| pings > 0));
}

#[tokio::test]
async fn keepalive_timeout() {
    // The default is 20 s.
    let variables = [PINGS[0], PINGS[1], ("PLUGIN_GRPC_KEEPALIVE_TIMEOUT_MS", "100")];
    let begun = Instant::now();
    assert!(pinged(&variables, PATIENCE).await.is_some());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn keepalive_permitted() {
    let error = Loader::new().env([PINGS[0]]).host().unwrap_err();
    assert_eq!(error.faults()[0].code().unwrap().to_string(), "rpcplugin::config::keepalive_too_frequent");
    Loader::new().env(PINGS).host().unwrap();
}

/// How often a plugin was started that never gets anywhere, and how long that took.
async fn tries(variables: &[(&str, &str)]) -> (usize, Duration) {
    let runs = tempfile::NamedTempFile::new().unwrap();
    let counting = script(&format!("echo >> {}; exit 1", runs.path().display()));
    let begun = Instant::now();
    plain(variables).launch(counting).await.unwrap_err();
    (fs::read_to_string(runs.path()).unwrap().lines().count(), begun.elapsed())
}

const ONE_MS: (&str, &str) = ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "1");
const NO_JITTER: (&str, &str) = ("PLUGIN_CLIENT_RETRY_JITTER_MS", "0");

#[tokio::test]
async fn retry_enabled() {
    assert_eq!(tries(&[]).await.0, 1);
    assert_eq!(tries(&[ONE_MS, ("PLUGIN_CLIENT_RETRY_ENABLED", "true")]).await.0, 4);
    assert_eq!(tries(&[ONE_MS, ("PLUGIN_CLIENT_RETRY_ENABLED", "false")]).await.0, 1);
}

#[tokio::test]
async fn retry_max_retries() {
    assert_eq!(tries(&[ONE_MS, ("PLUGIN_CLIENT_MAX_RETRIES", "2")]).await.0, 3);
}

#[tokio::test]
async fn retry_initial() {
    let once = ("PLUGIN_CLIENT_MAX_RETRIES", "1");
    let (_, took) = tries(&[once, NO_JITTER, ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "700")]).await;
    assert!(took >= Duration::from_millis(700), "{took:?}");
}

#[tokio::test]
async fn retry_multiplier() {
    let variables = [
        NO_JITTER,
        ("PLUGIN_CLIENT_MAX_RETRIES", "2"),
        ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "50"),
        ("PLUGIN_CLIENT_BACKOFF_MULTIPLIER", "20"),
    ];
    let (_, took) = tries(&variables).await;
    assert!(took >= Duration::from_millis(50 + 1000), "{took:?}");
}

#[tokio::test]
async fn retry_max() {
    let variables = [
        NO_JITTER,
        ("PLUGIN_CLIENT_MAX_RETRIES", "3"),
        ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "10"),
        ("PLUGIN_CLIENT_BACKOFF_MULTIPLIER", "100"),
        ("PLUGIN_CLIENT_MAX_BACKOFF_MS", "20"),
    ];
    let (_, took) = tries(&variables).await;
    assert!(took < Duration::from_secs(10), "without it the pauses grow to a hundred seconds: {took:?}");
}

#[tokio::test]
async fn retry_jitter() {
    let base = [("PLUGIN_CLIENT_MAX_RETRIES", "20"), ONE_MS, ("PLUGIN_CLIENT_MAX_BACKOFF_MS", "1")];
    let with_jitter = |jitter| [base[0], base[1], base[2], ("PLUGIN_CLIENT_RETRY_JITTER_MS", jitter)];
    // Twenty pauses of up to a fifth of a second each are two seconds on average, and hardly ever less than half of one.
    let (_, took) = tries(&with_jitter("200")).await;
    assert!(took >= Duration::from_millis(500), "{took:?}");
}

#[tokio::test]
async fn retry_total() {
    let variables =
        [("PLUGIN_CLIENT_MAX_RETRIES", "1000"), NO_JITTER, ("PLUGIN_CLIENT_RETRY_TOTAL_TIMEOUT_S", "0.6")];
    let (count, took) = tries(&variables).await;
    assert!(count < 20 && took < PATIENCE, "{count} tries in {took:?}");
}
