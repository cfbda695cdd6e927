//! The faults of a launch, with real processes. Each fault has its own variant and a help, is reported in time, and leaves no
//! process.
#![cfg(unix)]

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use rpcplugin::host::{ConnectFault, HandshakeFault, ProgramFault, SecurityFault};
use rpcplugin::{
    AppVersion, Command,
    config::{ByteSize, HostConfig, HostTls, TransportKind},
    handshake::HandshakeLineFault,
    host::{ChildProcess, ExitReason, LaunchEnvironment, LaunchFault, Runner, StartedProcess},
    plugin::ServingStatus,
    tls::Identity,
};
use rpcplugin_tests::support::{
    faulty::{faulty, host, refused, shows},
    scripts::script,
};

/// The longest that a launch may take to fail.
const TIMEOUT: Duration = Duration::from_secs(10);

fn plain(config: &mut HostConfig) {
    config.tls = HostTls::Plaintext;
}

/// The fault of a script. The error must contain all `parts`.
async fn fault(change: impl FnOnce(&mut HostConfig), text: &str, parts: &[&str]) -> LaunchFault {
    let error = refused(&host(change), script(text), TIMEOUT).await;
    shows(&error, parts);
    error.fault
}

macro_rules! assert_fault {
    ($fault:expr, $pattern:pat $(if $guard:expr)?) => {
        let fault = $fault;
        assert!(matches!(&fault, $pattern $(if $guard)?), "another fault: {fault:?}");
    };
}

#[tokio::test]
async fn a_plugin_started_manually_names_the_program_to_start() {
    let mut plugin = std::process::Command::new(env!("CARGO_BIN_EXE_faulty-plugin"));
    let output =
        plugin.env_remove("FAULTY_PLUGIN").stdin(Stdio::null()).output().expect("the program starts");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("this program is a plugin"), "{stderr}");
    assert!(stderr.contains("FAULTY_PLUGIN is not set"), "{stderr}");
}

#[tokio::test]
async fn a_wrong_cookie() {
    let command = faulty("healthy").env("FAULTY_PLUGIN", "another");
    let error = refused(&host(|_| {}), command, TIMEOUT).await;
    shows(
        &error,
        &[
            "refused the magic cookie, which another host has: exit status 1",
            "same magic cookie",
            "code: rpcplugin::handshake::cookie_refused",
            "FAULTY_PLUGIN",
        ],
    );
    assert_fault!(error.fault, LaunchFault::Handshake(HandshakeFault::CookieRefused(ExitReason::Status(1))));
}

#[tokio::test]
async fn no_version_in_common() {
    let cookie = rpcplugin::MagicCookie::new("FAULTY_PLUGIN", "cookie").expect("a cookie");
    let host = rpcplugin::Host::new(cookie, rpcplugin::Versions::new([7, 8]).expect("versions"));
    let error = refused(&host, faulty("healthy"), TIMEOUT).await;
    shows(&error, &["the plugin serves version 1", "this host supports 8,7", "help: update the plugin"]);
    assert_fault!(error.fault, LaunchFault::Handshake(HandshakeFault::Version(versions)) if versions.plugin == AppVersion(1));
}

/// A runner of a plugin that listens at any path and prints `line`, in which `PATH` stands for the path.
struct AnyPath {
    path: PathBuf,
    line: &'static str,
}

impl Runner for AnyPath {
    type Process = ChildProcess;

    fn program(&self) -> PathBuf {
        "/bin/sh".into()
    }

    async fn start(
        &self,
        surroundings: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        let line = self.line.replace("PATH", &self.path.display().to_string());
        // The socket looks like that of the plugin: it is newer than the launch, and has no listener after the exit.
        drop(UnixListener::bind(&self.path).map_err(LaunchFault::runner)?);
        script("echo \"$0\"; sleep 1000").arg(line).start(surroundings).await
    }
}

#[tokio::test]
async fn a_socket_outside_the_directory_of_the_host_is_removed_with_its_plugin() {
    let dir = tempfile::tempdir().expect("a directory");
    let multiplexed = |config: &mut HostConfig| (config.tls, config.multiplex) = (HostTls::Plaintext, true);
    let tcp_only = |config: &mut HostConfig| {
        (config.tls, config.transports) = (HostTls::Plaintext, vec![TransportKind::Tcp]);
    };
    for (host, line, code) in [
        (host(plain), "1|9|unix|PATH|grpc", "rpcplugin::protocol::version"),
        (host(plain), "1|1|unix|PATH|netrpc", "rpcplugin::protocol::net_rpc"),
        (host(|_| {}), "1|1|unix|PATH|grpc", "rpcplugin::security::plugin_ignored_mtls"),
        (host(tcp_only), "1|1|unix|PATH|grpc", "rpcplugin::transport::not_allowed"),
        (host(multiplexed), "1|1|unix|PATH|grpc", "rpcplugin::protocol::no_multiplexing"),
        (host(plain), "1|1|unix|PATH|grpc", "rpcplugin::transport::cannot_connect"),
    ] {
        let path = dir.path().join("headstrong.sock");
        let error = host.launch_with(&AnyPath { path: path.clone(), line }).await.expect_err("a fault");
        shows(&error, &[code]);
        assert!(!path.exists(), "the socket of {line} is left");
    }
}

#[tokio::test]
async fn a_socket_from_before_the_launch_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("older.sock");
    drop(UnixListener::bind(&path).expect("bound"));
    // The clock of the file system may be coarse.
    let later = dir.path().join("later");
    let changed = |path: &std::path::Path| {
        let file = fs::symlink_metadata(path).expect("there");
        (file.ctime(), file.ctime_nsec())
    };
    while !later.exists() || changed(&later) <= changed(&path) {
        fs::write(&later, "").expect("writable");
    }
    let text = format!("echo '1|1|unix|{}|grpc'; sleep 1000", path.display());
    fault(plain, &text, &[]).await;
    assert!(path.exists(), "the socket is older than the plugin");
}

#[tokio::test]
async fn garbage() {
    let parts = [
        "printed other text in place of its handshake line",
        "logs and banners belong on stderr",
        "the process has ended: exit status 3",
    ];
    let fault = fault(plain, "echo 'Welcome to my program'; echo why >&2; exit 3", &parts).await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::InvalidLine(error)) if error.fault == HandshakeLineFault::NotAHandshakeLine);
}

#[tokio::test]
async fn binary_garbage() {
    let fault = fault(plain, r"printf '\000\377\033[31m\210|\200|||||\n'; sleep 60", &["is a plugin"]).await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::InvalidLine(error)) if error.fault == HandshakeLineFault::NotAHandshakeLine);
}

#[tokio::test]
async fn stray_lines_are_skipped_if_the_settings_allow_it() {
    let allow = |config: &mut HostConfig| {
        plain(config);
        config.stray_lines = 2;
    };
    let fault_of = |lines: &str| {
        let text = format!("printf '{lines}1|1|unix|/tmp/missing|netrpc\\n'; sleep 60");
        async move { fault(allow, &text, &[]).await }
    };
    assert_fault!(fault_of(r"one\ntwo\n").await, LaunchFault::Handshake(HandshakeFault::InvalidLine(e)) if e.fault == HandshakeLineFault::NetRpc);
    assert_fault!(fault_of(r"one\ntwo\nthree\n").await, LaunchFault::Handshake(HandshakeFault::InvalidLine(e)) if e.fault == HandshakeLineFault::NotAHandshakeLine);
}

#[tokio::test]
async fn silence() {
    let begun = Instant::now();
    let short = |config: &mut HostConfig| config.launch_timeout = Duration::from_millis(300);
    let parts = [
        "the plugin printed no handshake line within 0.3 s",
        "raise the launch timeout",
        "stderr of the plugin:\n    I am thinking",
    ];
    let fault = fault(short, "echo 'I am thinking' >&2; sleep 60", &parts).await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::Timeout(deadline)) if *deadline == Duration::from_millis(300));
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn stopped_while_it_starts() {
    let short = |config: &mut HostConfig| config.launch_timeout = Duration::from_millis(500);
    for (signal, parts) in [
        (
            "TTIN",
            &["stopped by SIGTTIN: it reads from the terminal", "Stdin::Null", "share_process_group"][..],
        ),
        ("TTOU", &["stopped by SIGTTOU: it changes the terminal", "Stdin::Null"]),
        ("STOP", &["stopped by SIGSTOP", "kill -CONT"]),
    ] {
        let fault = fault(short, &format!("kill -{signal} $$; sleep 60"), parts).await;
        assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::Stopped { .. }));
    }
    // A plugin that is continued is silent like any other.
    let fault = fault(
        short,
        "(sleep 0.1; kill -CONT $$) & kill -STOP $$; sleep 60",
        &["printed no handshake line within 0.5 s"],
    )
    .await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::Timeout(_)));
}

#[tokio::test]
async fn exits_immediately() {
    let parts = [
        "the plugin exited before it printed a handshake line: exit status 3",
        "stderr of the plugin:\n    no database",
    ];
    let fault = fault(|_| {}, "echo 'no database' >&2; exit 3", &parts).await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::ExitedEarly(ExitReason::Status(3))));
}

#[tokio::test]
async fn killed_by_a_signal() {
    let fault = fault(|_| {}, "kill -SEGV $$; sleep 60", &["signal 11 (SIGSEGV"]).await;
    assert_fault!(
        fault,
        LaunchFault::Handshake(HandshakeFault::ExitedEarly(ExitReason::Signal(
            rpcplugin::host::Signal::SEGV
        )))
    );
}

#[tokio::test]
async fn closes_its_stdout() {
    let quick = |config: &mut HostConfig| config.drain_timeout = Duration::from_millis(100);
    let fault =
        fault(quick, "exec >&-; sleep 60", &["closed its stdout without printing a handshake line"]).await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::StdoutClosed));
}

/// A file with these contents and permissions.
fn file(contents: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a-plugin");
    fs::write(&path, contents).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
    (dir, path)
}

#[tokio::test]
async fn not_executable() {
    let (_dir, path) = file(b"#!/bin/sh\nexit 0\n", 0o644);
    let error = refused(&host(|_| {}), Command::new(path), TIMEOUT).await;
    shows(&error, &["may not be executed", "chmod +x", "mode: -rw-r--r--", "owner: "]);
    assert_fault!(error.fault, LaunchFault::Program(ProgramFault::NotExecutable { .. }));
}

#[tokio::test]
async fn does_not_exist() {
    for program in ["/no/such/plugin", "no-such-plugin-anywhere"] {
        let error = refused(&host(|_| {}), Command::new(program), TIMEOUT).await;
        shows(&error, &["there is no program", program, "check the path"]);
        assert_fault!(error.fault, LaunchFault::Program(ProgramFault::NotFound { .. }));
    }
    let error = refused(&host(|_| {}), script("exit").current_dir("/no/such/directory"), TIMEOUT).await;
    shows(
        &error,
        &["the working directory /no/such/directory does not exist", "rpcplugin::transport::no_directory"],
    );
    assert_fault!(error.fault, LaunchFault::Program(ProgramFault::NoDirectory { .. }));
}

/// A program that launches again and again takes a thread of the runtime, but not from other tasks.
#[tokio::test]
async fn launches_that_fail_at_once_let_other_tasks_run() {
    let host = host(|_| {});
    let other = tokio::spawn(async {});
    for _ in 0..100 {
        host.launch("/no/such/plugin").await.unwrap_err();
        host.supervise("/no/such/plugin").await.unwrap_err();
    }
    assert!(other.is_finished());
}

#[tokio::test]
async fn missing_interpreter() {
    let (_dir, path) = file(b"#!/no/such/interpreter\n", 0o755);
    let error = refused(&host(|_| {}), Command::new(path), TIMEOUT).await;
    shows(&error, &["its interpreter /no/such/interpreter is missing: install it"]);
    assert_fault!(error.fault, LaunchFault::Program(ProgramFault::InterpreterNotFound { .. }));
}

#[tokio::test]
async fn not_a_program_or_a_program_for_another_machine() {
    let mut header = vec![0_u8; 64];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    header[16] = 2;
    let other: u16 = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    header[18..20].copy_from_slice(&other.to_le_bytes());
    header[20] = 1;
    let (_dir, path) = file(&header, 0o755);
    let error = refused(&host(|_| {}), Command::new(path), TIMEOUT).await;
    shows(&error, &["is not a program for this machine", "ELF architecture: EM_", "(current architecture: "]);
    assert_fault!(error.fault, LaunchFault::Program(ProgramFault::NotAProgram { .. }));

    let (_dir, path) = file(b"just text", 0o755);
    let error = refused(&host(|_| {}), Command::new(path), TIMEOUT).await;
    shows(&error, &["is not a program for this machine", "neither a program nor a script", "#!/bin/sh"]);
    assert_fault!(error.fault, LaunchFault::Program(ProgramFault::NotAProgram { .. }));
}

#[tokio::test]
async fn a_missing_or_unexpected_certificate() {
    let ignored = fault(
        |_| {},
        "echo '1|1|unix|/tmp/missing|grpc|'; sleep 60",
        &["does not use mutual TLS", "AutoMTLS"],
    )
    .await;
    assert_fault!(ignored, LaunchFault::Security(SecurityFault::IgnoredMtls));

    let certificate = base64(Identity::generate().expect("an identity").certificate_der());
    let text = format!("echo '1|1|unix|/tmp/missing|grpc|{certificate}'; sleep 60");
    let unasked = fault(plain, &text, &["sent a certificate, and this host does not use TLS"]).await;
    assert_fault!(unasked, LaunchFault::Security(SecurityFault::UnexpectedCertificate));

    let text = format!("echo '1|1|unix|/tmp/missing|grpc|{}'; sleep 60", "A".repeat(80));
    let no_certificate = fault(|_| {}, &text, &["the certificate of the plugin cannot be used"]).await;
    assert_fault!(no_certificate, LaunchFault::Security(SecurityFault::Certificate(_)));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn an_address_without_a_listener() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    drop(UnixListener::bind(dir.path().join("made")).expect("bindable"));
    // The socket is moved to its path after the launch has begun.
    let text = format!(
        "mv {made} {path}; echo '1|1|unix|{path}|grpc|'; echo bye >&2; sleep 60",
        made = dir.path().join("made").display(),
        path = path.display(),
    );
    let dead =
        fault(plain, &text, &["announced itself and cannot be reached", "nothing listens there", "bye"])
            .await;
    assert_fault!(dead, LaunchFault::Connect(ConnectFault::Unreachable(_)));
    assert!(!path.exists(), "the socket file of a dead plugin is removed");

    let gone = fault(
        plain,
        "echo '1|1|unix|/tmp/no-such-socket|grpc|'; sleep 60",
        &["its socket file does not exist"],
    )
    .await;
    assert_fault!(gone, LaunchFault::Connect(ConnectFault::Unreachable(_)));
}

#[tokio::test]
async fn a_listener_that_never_answers() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    let _listener = UnixListener::bind(&path).expect("bindable");
    let text = format!("echo '1|1|unix|{}|grpc|'; sleep 60", path.display());
    let ready = |config: &mut HostConfig| {
        plain(config);
        config.ready_timeout = Some(Duration::from_millis(300));
    };
    let begun = Instant::now();
    let hangs = fault(ready, &text, &["was not ready after 0.3 s", "check whether the plugin hangs"]).await;
    assert_fault!(hangs, LaunchFault::Connect(ConnectFault::Timeout(_)));
    assert!(begun.elapsed() < Duration::from_secs(3));

    let certificate = base64(Identity::generate().expect("an identity").certificate_der());
    let text = format!("echo '1|1|unix|{}|grpc|{certificate}'; sleep 60", path.display());
    let connect = |config: &mut HostConfig| config.connection_timeout = Some(Duration::from_millis(300));
    let hangs = fault(connect, &text, &["the peer did not answer within 0.3 s"]).await;
    assert_fault!(hangs, LaunchFault::Connect(ConnectFault::Unreachable(_)));
}

#[tokio::test]
async fn tls_refused() {
    // The plugin trusts the certificate of another host.
    let other = Identity::generate().expect("an identity").certificate_pem();
    let error = refused(&host(|_| {}), faulty("healthy").env("PLUGIN_CLIENT_CERT", other), TIMEOUT).await;
    shows(
        &error,
        &["the plugin does not accept this host's certificate", "rpcplugin::security::host_refused"],
    );
    assert_fault!(error.fault, LaunchFault::Connect(ConnectFault::HostRefused(_)));

    // The handshake line has the certificate of another process.
    let other = base64(Identity::generate().expect("an identity").certificate_der());
    let swap = r#""$0" healthy | while IFS='|' read -r a b c d e f; do echo "$a|$b|$c|$d|$e|$1"; done"#;
    let command = script(swap).arg(env!("CARGO_BIN_EXE_faulty-plugin")).arg(other);
    let error = refused(&host(|_| {}), command, TIMEOUT).await;
    shows(&error, &["the TLS handshake failed"]);
    assert_fault!(error.fault, LaunchFault::Connect(ConnectFault::Unreachable(_)));
}

#[tokio::test]
async fn not_healthy() {
    let error = refused(&host(|_| {}), faulty("unhealthy"), TIMEOUT).await;
    shows(
        &error,
        &["the plugin reports its health as NotServing", "the plugin set this health status itself"],
    );
    assert_fault!(error.fault, LaunchFault::Connect(ConnectFault::NotHealthy(ServingStatus::NotServing)));
}

#[tokio::test]
async fn lines_that_are_not_handshake_lines() {
    for (line, expected, part) in [
        ("1|1|unix|/tmp/p|netrpc", HandshakeLineFault::NetRpc, "rebuild the plugin with a gRPC server"),
        ("1|1|unix|/tmp/p", HandshakeLineFault::NetRpc, "the plugin uses net/rpc"),
        ("2|1|unix|/tmp/p|grpc|", HandshakeLineFault::CoreVersion, "core protocol version is 1"),
        ("1|one|unix|/tmp/p|grpc|", HandshakeLineFault::Version, "version is not a number"),
        ("1|1|unix|/tmp/p|carrier-pigeon|", HandshakeLineFault::UnknownProtocol, "an unknown protocol"),
    ] {
        let fault = fault(plain, &format!("echo '{line}'; sleep 60"), &[part]).await;
        assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::InvalidLine(error)) if error.fault == expected);
    }
    let address = fault(plain, "echo '1|1|pipe|/tmp/p|grpc|'; sleep 60", &["unknown network \"pipe\""]).await;
    assert_fault!(address, LaunchFault::Handshake(HandshakeFault::InvalidLine(error)) if matches!(error.fault, HandshakeLineFault::Address(_)));
}

#[tokio::test]
async fn a_transport_that_the_host_does_not_use() {
    let unix = |config: &mut HostConfig| {
        plain(config);
        config.transports = vec![TransportKind::Unix];
    };
    let fault = fault(
        unix,
        "echo '1|1|tcp|127.0.0.1:9|grpc|'; sleep 60",
        &["this host does not allow tcp", "rpcplugin::transport::not_allowed"],
    )
    .await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::Transport { .. }));
}

#[tokio::test]
async fn a_first_line_of_ten_mebibytes() {
    let text = "head -c 10485760 /dev/zero | tr '\\0' x; echo; sleep 60";
    let fault = fault(plain, text, &["a line that is too long for a handshake line: \"xxx"]).await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::LineTooLong { .. }));
}

#[tokio::test]
async fn a_line_longer_than_allowed() {
    let short = |config: &mut HostConfig| {
        plain(config);
        config.handshake_line_limit = ByteSize::kib(4);
    };
    let text = "head -c 4096 /dev/zero | tr '\\0' x; echo; sleep 60";
    assert_fault!(fault(short, text, &[]).await, LaunchFault::Handshake(HandshakeFault::LineTooLong { .. }));
}

#[tokio::test]
async fn a_line_without_end() {
    let short = |config: &mut HostConfig| config.launch_timeout = Duration::from_millis(500);
    let fault =
        fault(short, "printf '1|1|unix|/tmp/p'; sleep 60", &["stdout of the plugin:\n    1|1|unix|/tmp/p"])
            .await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::Timeout(_)));
}

#[tokio::test]
async fn half_a_line_counts_as_an_exit() {
    let said = &["stdout of the plugin:\n    1|3|tcp|127.0"];
    let fault = fault(plain, "printf '1|3|tcp|127.0'; exit 4", said).await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::ExitedEarly(ExitReason::Status(4))));
}

#[tokio::test]
async fn a_last_line_without_a_newline_is_read() {
    let fault = fault(plain, "printf '1|1|unix|/tmp/no-such-socket|grpc|'", &[]).await;
    assert_fault!(fault, LaunchFault::Connect(ConnectFault::Exited(ExitReason::Status(0))));
}

#[tokio::test]
async fn a_line_in_single_bytes_over_a_second() {
    let text = r#"
        line='1|1|unix|/tmp/no-such-socket|netrpc'
        while [ -n "$line" ]; do printf %.1s "$line"; line="${line#?}"; sleep 0.03; done
        echo; sleep 60"#;
    let fault = fault(plain, text, &["the plugin uses net/rpc"]).await;
    assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::InvalidLine(error)) if error.fault == HandshakeLineFault::NetRpc);
}

#[tokio::test]
async fn exits_between_line_and_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    let _listener = UnixListener::bind(&path).expect("bindable");
    for path in [path, dir.path().join("missing")] {
        let text = format!("echo '1|1|unix|{}|grpc|'; echo oops >&2; exit 4", path.display());
        let parts = ["the plugin exited while the host connected to it: exit status 4", "oops"];
        assert_fault!(
            fault(plain, &text, &parts).await,
            LaunchFault::Connect(ConnectFault::Exited(ExitReason::Status(4)))
        );
    }
}

#[tokio::test]
async fn multiplexing_unsupported() {
    let multiplex = |config: &mut HostConfig| {
        plain(config);
        config.multiplex = true;
    };
    for end in ["", "|false", "|maybe"] {
        let text = format!("echo '1|1|unix|/tmp/p|grpc|{end}'; sleep 60");
        let fault = fault(multiplex, &text, &["cannot carry all connections over one socket"]).await;
        assert_fault!(fault, LaunchFault::Handshake(HandshakeFault::NoMultiplexing));
    }
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes() {
    let quick = |config: &mut HostConfig| config.drain_timeout = Duration::from_millis(100);
    // A process in another session is not killed with the group. It exits by itself.
    let text = "setsid sh -c 'sleep 2' & echo tail >&2; exit 5";
    let begun = Instant::now();
    let error = host(quick).launch(script(text)).await.expect_err("the plugin exits");
    assert!(begun.elapsed() < Duration::from_secs(2), "{error:?}");
    shows(&error, &["exit status 5", "tail"]);
}
