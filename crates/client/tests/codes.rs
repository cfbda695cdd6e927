//! Each fault of a launch has its documented code. The plugins are scripts, each with one fault.
#![cfg(unix)]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use miette::Diagnostic as _;
use rpcplugin_client::{
    Attachment, Checksum, Command, Handover, HandoverError, Host, LaunchError, LaunchFault, PingError, Plugin,
};
use rpcplugin_config::{HostConfig, HostTls, Pem, SecretPem};
use rpcplugin_core::MagicCookie;
use rpcplugin_mtls::{Identity, MutualTls, Trust};
use rpcplugin_transport::{Listener, Security, Services, SocketDir, http2};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, health_reporter},
};

fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    let cookie = MagicCookie::new("CODES", "of launches").expect("a cookie");
    Host::new(cookie, 1).configure(|config| config.tls = HostTls::Plaintext).configure(change)
}

async fn run(host: Host, script: &str) -> Result<Plugin, LaunchError> {
    host.launch(Command::new("/bin/sh").arg("-c").arg(script)).await
}

/// A plugin that prints this line and runs on.
async fn says(host: Host, line: &str) -> Result<Plugin, LaunchError> {
    run(host, &format!("echo '{line}'; exec sleep 60")).await
}

#[track_caller]
fn check(launched: Result<Plugin, LaunchError>, code: &str) {
    let error = launched.expect_err(code);
    assert_eq!(error.fault.code().expect("a code").to_string(), code, "{error:?}");
    assert!(error.help().is_some_and(|help| !help.to_string().is_empty()), "{error:?}");
}

#[tokio::test]
async fn programs_that_cannot_be_started_have_their_codes() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &[u8], mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        path
    };
    let launch = |path: &Path| {
        let (host, command) = (host(|_| {}), Command::new(path));
        async move { host.launch(command).await }
    };
    check(launch(&dir.path().join("none")).await, "rpcplugin::transport::plugin_not_found");
    check(launch(dir.path()).await, "rpcplugin::transport::plugin_is_directory");
    check(launch(Path::new("/dev/null")).await, "rpcplugin::transport::plugin_not_a_file");
    let orphan = file("orphan", b"#!/nowhere/at/all\n", 0o755);
    check(launch(&orphan).await, "rpcplugin::transport::interpreter_not_found");
    check(launch(&file("data", b"x", 0o644)).await, "rpcplugin::transport::plugin_not_executable");
    check(launch(&file("rubbish", b"\x7fnot", 0o755)).await, "rpcplugin::transport::not_a_program");
    // An argument list beyond what the system takes.
    let command = Command::new("/bin/true").arg("x".repeat(1 << 22));
    check(host(|_| {}).launch(command).await, "rpcplugin::transport::spawn");
}

#[tokio::test]
async fn plugins_without_a_handshake_line_have_their_codes() {
    check(run(host(|_| {}), "exit 3").await, "rpcplugin::handshake::exited_early");
    let loads = |loader: &str| format!("echo '{loader}' >&2; exit 127");
    for loader in [
        "./p: error while loading shared libraries: libx.so.1: cannot open shared object file: No such file",
        "Error loading shared library libx.so.1: No such file or directory (needed by ./p)",
        "dyld[1]: Library not loaded: libx.1.dylib",
    ] {
        check(run(host(|_| {}), &loads(loader)).await, "rpcplugin::transport::library_missing");
    }
    for (script, advice) in [
        ("no-such-command", "not there or may not be executed"),
        ("/dev/null", "not there or may not be executed"),
        ("sleep 60 & exit 0", "start the plugin with `exec` in the script"),
        ("exit 3", "wrote nothing on stderr"),
        ("echo 'no database' >&2; exit 3", "correct what it names on stderr"),
    ] {
        let error = run(host(|config| config.drain_timeout = Duration::from_millis(50)), script)
            .await
            .expect_err(script);
        assert!(
            matches!(error.fault, LaunchFault::Handshake(rpcplugin_client::HandshakeFault::ExitedEarly(_))),
            "{error:?}"
        );
        assert!(error.help().expect("advice").to_string().contains(advice), "{script}: {error:?}");
    }
    let closed =
        run(host(|config| config.drain_timeout = Duration::from_millis(50)), "exec >&-; sleep 60").await;
    check(closed, "rpcplugin::handshake::stdout_closed");
    let short = |config: &mut HostConfig| config.launch_timeout = Duration::from_millis(200);
    check(run(host(short), "exec sleep 60").await, "rpcplugin::handshake::timeout");
    check(says(host(|_| {}), "welcome").await, "rpcplugin::handshake::invalid_line");
    let endless = "head -c 200000 /dev/zero | tr '\\\\0' x; exec sleep 60";
    check(run(host(|_| {}), endless).await, "rpcplugin::handshake::line_too_long");
}

#[tokio::test]
async fn handshake_lines_that_do_not_fit_have_their_codes() {
    check(says(host(|_| {}), "1|9|unix|/p|grpc|").await, "rpcplugin::protocol::version");
    let secure = || host(|config| config.tls = HostTls::AUTO);
    check(says(secure(), "1|1|unix|/p|grpc|").await, "rpcplugin::security::plugin_ignored_mtls");
    // Sixty bytes in base64 that are no certificate.
    let rubbish = format!("1|1|unix|/p|grpc|{}", "QUFB".repeat(20));
    check(says(host(|_| {}), &rubbish).await, "rpcplugin::security::unexpected_certificate");
    check(says(secure(), &rubbish).await, "rpcplugin::security::plugin_certificate");
    let multiplexing = host(|config| config.multiplex = true);
    check(says(multiplexing, "1|1|unix|/p|grpc||").await, "rpcplugin::protocol::no_multiplexing");
    check(says(host(|_| {}), "1|1|unix|/nowhere|grpc|").await, "rpcplugin::transport::unreachable");
}

/// A server in this process, whose endpoint scripts print in their handshake line.
struct Server {
    _task: AbortOnDropHandle<()>,
    _dir: SocketDir,
    health: HealthReporter,
    line: String,
}

fn server(with_health: bool) -> Server {
    let dir = SocketDir::private(None).expect("a directory");
    let listener = Listener::unix_in(&dir).expect("bound");
    let line = format!("1|1|unix|{}|grpc|", listener.endpoint().address());
    let (health, service) = health_reporter();
    let services = if with_health { Services::new().add(service) } else { Services::new() };
    let serving = http2::Serving::new(services, Security::Plain, CancellationToken::new());
    let task = AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving)));
    Server { _task: task, _dir: dir, health, line }
}

#[tokio::test]
async fn connections_that_fail_have_their_codes() {
    let server = server(true);
    server.health.set_service_status("plugin", ServingStatus::NotServing).await;
    check(says(host(|_| {}), &server.line).await, "rpcplugin::protocol::not_healthy");

    // A listener that never answers.
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("silent");
    let _silent = std::os::unix::net::UnixListener::bind(&path).expect("bound");
    let line = format!("1|1|unix|{}|grpc|", path.display());
    let short = |config: &mut HostConfig| config.launch_timeout = Duration::from_millis(400);
    check(says(host(short), &line).await, "rpcplugin::transport::not_ready");
    let dying = format!("echo '{line}'; sleep 0.1; exit 4");
    check(run(host(|_| {}), &dying).await, "rpcplugin::handshake::exited_connecting");
}

#[tokio::test]
async fn refused_health_calls_have_their_code() {
    let dir = SocketDir::private(None).expect("a directory");
    let listener = Listener::unix_in(&dir).expect("bound");
    let line = format!("1|1|unix|{}|grpc|", listener.endpoint().address());
    let (_, health) = health_reporter();
    let refusing = tonic::service::interceptor::InterceptedService::new(health, |_| {
        Err(tonic::Status::unauthenticated("not you"))
    });
    let services = Services::new().add(refusing);
    let serving = http2::Serving::new(services, Security::Plain, CancellationToken::new());
    let _task = AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving)));
    check(says(host(|_| {}), &line).await, "rpcplugin::transport::health_check_failed");
}

/// TLS with given certificates is not visible in the handshake line.
#[tokio::test]
async fn a_plugin_with_certificates_of_its_own_has_its_code() {
    let identity = Identity::generate().expect("made");
    let trust = Trust::Pinned(identity.peer_certificate());
    let security = Security::Mutual(MutualTls::new(identity, trust).expect("settings"));
    let dir = SocketDir::private(None).expect("a directory");
    let listener = Listener::unix_in(&dir).expect("bound");
    let line = format!("1|1|unix|{}|grpc|", listener.endpoint().address());
    let serving = http2::Serving::new(Services::new(), security, CancellationToken::new());
    let _task = AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving)));
    for tls in [HostTls::AUTO, HostTls::Plaintext] {
        let host = host(|config| config.tls = tls);
        check(says(host, &line).await, "rpcplugin::security::own_certificates");
    }
}

#[tokio::test]
async fn hosts_with_invalid_settings_have_their_codes() {
    let rubbish = |config: &mut HostConfig| {
        config.tls = HostTls::Given {
            certificate: Pem::new("-----BEGIN CERTIFICATE-----"),
            private_key: SecretPem::new("-----BEGIN PRIVATE KEY-----"),
            server_roots: None,
        };
    };
    check(run(host(rubbish), "true").await, "rpcplugin::security::host_identity");
    let identity = Identity::generate().expect("made").export();
    let rubbish = |config: &mut HostConfig| {
        config.tls = HostTls::Given {
            certificate: Pem::new(identity.certificates_pem()),
            private_key: SecretPem::new(identity.private_key_pem()),
            server_roots: Some(Pem::new("-----BEGIN CERTIFICATE")),
        };
    };
    check(run(host(rubbish), "true").await, "rpcplugin::security::host_roots");
    let unconnectable = |config: &mut HostConfig| config.transports.clear();
    check(run(host(unconnectable), "true").await, "rpcplugin::config::invalid");
    let nowhere = |config: &mut HostConfig| config.unix_socket_dir = Some("/nowhere/at/all".into());
    check(run(host(nowhere), "true").await, "rpcplugin::transport::no_socket_dir");
}

#[tokio::test]
async fn failed_pings_have_their_codes() {
    let code = |error: PingError| error.code().expect("a code").to_string();
    let server = server(false);
    let plugin = says(host(|_| {}), &server.line).await.expect("it has no health, and lives");
    assert_eq!(code(plugin.ping().await.expect_err("no health")), "rpcplugin::protocol::no_health");

    // A listener that never answers.
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("silent");
    let _silent = std::os::unix::net::UnixListener::bind(&path).expect("bound");
    let line = format!("1|1|unix|{}|grpc|", path.display());
    let silent =
        says(host(|config| config.health_check = false), &line).await.expect("the health check is off");
    let late = silent.ping_within(Duration::from_millis(20)).await.expect_err("it says nothing");
    assert_eq!(code(late), "rpcplugin::transport::ping_timeout");

    let pid = plugin.pid().expect("a process").to_string();
    std::process::Command::new("kill").args(["-9", &pid]).status().expect("kill runs");
    plugin.wait().await;
    drop(server);
    assert_eq!(code(plugin.ping().await.expect_err("dead")), "rpcplugin::transport::plugin_ended");
}

#[tokio::test]
async fn generations_that_cannot_be_set_up_have_their_code() {
    let server = server(true);
    server.health.set_service_status("plugin", ServingStatus::Serving).await;
    let command = Command::new("/bin/sh").arg("-c").arg(format!("echo '{}'; exec sleep 60", server.line));
    let supervised = host(|_| {}).supervise(command).on_start(|_| async { Err("refused") }).await;
    let error = supervised.expect_err("the function says so");
    assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::base::supervised_setup");
}

#[tokio::test]
async fn failed_attachments_have_their_code() {
    // A server that reports that it is not serving.
    let dir = SocketDir::private(None).expect("a directory");
    let listener = Listener::unix_in(&dir).expect("bound");
    let endpoint = listener.endpoint().clone();
    let (reporter, health) = health_reporter();
    reporter.set_service_status("plugin", ServingStatus::NotServing).await;
    let serving = http2::Serving::new(Services::new().add(health), Security::Plain, CancellationToken::new());
    let _task = AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving)));
    let error = host(|_| {}).attach(Attachment::new(endpoint, 1)).await.expect_err("it is not well");
    assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::transport::attach_refused");
}

#[test]
fn invalid_handovers_have_their_codes() {
    let (host, plugin) = (Identity::generate().expect("made"), Identity::generate().expect("made"));
    let json = |certificate: &str, key: &str, plugin: &str| {
        let escaped = |text: &str| text.replace('\n', "\\n");
        format!(
            r#"{{"Protocol":"grpc","ProtocolVersion":1,"Pid":1,"Test":true,
                "Addr":{{"Network":"unix","String":"/p"}},
                "Tls":{{"HostCertificate":"{}","HostKey":"{}","PluginCertificate":"{}"}}}}"#,
            escaped(certificate),
            escaped(key),
            escaped(plugin)
        )
    };
    let exported = host.export();
    let (certificate, key) = (exported.certificates_pem(), exported.private_key_pem());
    Handover::parse(&json(certificate, key, &plugin.certificate_pem())).expect("all is well");
    let code = |json: &str| Handover::parse(json).expect_err("damaged").code().expect("a code").to_string();
    assert_eq!(code(&json("x", key, "x")), "rpcplugin::security::handover_identity");
    assert_eq!(code(&json(certificate, key, "x")), "rpcplugin::security::handover_certificate");
    let without_key = json(certificate, key, "x").replace("HostKey", "Hostage");
    assert_eq!(code(&without_key), "rpcplugin::handshake::handover_unreadable");
}

#[test]
fn invalid_checksums_have_their_code() {
    let error = Checksum::sha256("not hexadecimal").expect_err("not a digest");
    assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::config::checksum_length");
}

#[tokio::test]
async fn programs_that_cannot_be_read_have_their_code() {
    let checksum = Checksum::sha256(&"0".repeat(64)).expect("it could be one");
    let launched = host(|_| {}).launch(Command::new("/proc/self/mem").checksum(checksum)).await;
    check(launched, "rpcplugin::security::checksum_unreadable");
}

#[test]
fn rare_faults_have_their_codes() {
    let code = |fault: LaunchFault| fault.code().expect("a code").to_string();
    let broken = std::io::Error::other("the pipe is broken");
    assert_eq!(
        code(LaunchFault::Handshake(rpcplugin_client::HandshakeFault::Stdout(broken))),
        "rpcplugin::transport::stdout"
    );
    let name = || rpcplugin_mtls::TlsError::ServerName { name: String::new() };
    assert_eq!(
        code(rpcplugin_client::SecurityFault::from(name()).into()),
        "rpcplugin::security::tls_settings"
    );
    let handover = HandoverError::from(name());
    assert_eq!(handover.code().expect("a code").to_string(), "rpcplugin::security::handover_tls");
    assert_eq!(
        code(LaunchFault::Start(rpcplugin_client::StartFault::Runner("no image".into()))),
        "rpcplugin::transport::runner"
    );
    let closed = rpcplugin_broker::AcceptError::from(rpcplugin_broker::Unreachable::Closed);
    assert_eq!(code(rpcplugin_client::ConnectFault::from(closed).into()), "rpcplugin::transport::callbacks");
    let endpoint = rpcplugin_core::Endpoint::parse("unix", "/p").expect("a path");
    let untranslated = LaunchFault::Handshake(rpcplugin_client::HandshakeFault::Translate {
        endpoint,
        source: "not mounted".into(),
    });
    assert_eq!(code(untranslated), "rpcplugin::transport::translation");
}
