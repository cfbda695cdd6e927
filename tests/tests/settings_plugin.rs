//! Each setting of a plugin changes what a real plugin does. Each test is named after its setting.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use rpcplugin::{
    Endpoint, LaunchError, MagicCookie, Plugin, Serve,
    config::{HostTls, Loader, Pem, SecretPem},
    host::{Observer, OutputOptions, OutputSource, PluginId},
    plugin::BasicProtocol,
    tls::Identity,
};
use rpcplugin_tests::{
    pb::{BigPayloadRequest, CallbackRequest, EchoRequest, InfoRequest, SleepRequest, WriteStdioRequest},
    raw_http2::PeerSettings,
    support::{
        TIMEOUT,
        conformance::{client, code, host, launch, plugin, try_launch},
        process::{is_alive, send},
        wait::eventually,
    },
};
use rustix::process::Signal;
use tokio::{io::AsyncReadExt as _, net::UnixStream, time::timeout};
use tonic::{Code, Request};
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_client::ServerReflectionClient};

/// The stderr of a plugin that did not start.
fn stderr_of(error: &LaunchError) -> String {
    error.facts().stderr.join("\n")
}

async fn echo(plugin: &Plugin, bytes: usize) -> Code {
    code(client(plugin).echo(EchoRequest { data: vec![0; bytes].into() }).await)
}

#[tokio::test]
async fn transports() {
    for (value, network) in [("unix", "unix"), ("tcp", "tcp"), ("tcp,unix", "tcp")] {
        let plugin = launch(&[("PLUGIN_SERVER_TRANSPORTS", value)], |_| {}).await;
        assert_eq!(plugin.endpoint().network(), network);
    }
}

#[tokio::test]
async fn unix_socket_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("here").display().to_string();
    let plugin = launch(&[("PLUGIN_SERVER_UNIX_SOCKET_PATH", &path)], |_| {}).await;
    assert_eq!(plugin.endpoint().address(), path);
}

#[tokio::test]
async fn tcp_host() {
    let variables = [("PLUGIN_SERVER_TRANSPORTS", "tcp"), ("PLUGIN_SERVER_HOST", "127.0.0.2")];
    let plugin = launch(&variables, |_| {}).await;
    assert!(plugin.endpoint().address().starts_with("127.0.0.2:"), "{}", plugin.endpoint());
}

#[tokio::test]
async fn tcp_port() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let plugin = launch(&[("PLUGIN_SERVER_TRANSPORTS", "tcp"), ("PLUGIN_SERVER_PORT", &free)], |_| {}).await;
    assert_eq!(plugin.endpoint().address(), format!("127.0.0.1:{free}"));
}

#[tokio::test]
async fn auto_mtls() {
    let error = try_launch(&[("PLUGIN_AUTO_MTLS", "false")], |_| {}).await.unwrap_err();
    assert!(stderr_of(&error).contains("rpcplugin::security::mtls_refused"), "{error:?}");
    assert!(launch(&[("PLUGIN_AUTO_MTLS", "true")], |_| {}).await.security().is_mutual());
}

/// A host and a plugin with given certificates that trust each other.
struct GivenCertificates {
    host: Identity,
    plugin: Identity,
}

impl GivenCertificates {
    fn new() -> Self {
        Self { host: Identity::generate().unwrap(), plugin: Identity::generate().unwrap() }
    }

    async fn launch(&self, certificate: &str, key: &str, authorities: &str) -> Result<Plugin, LaunchError> {
        let variables = [
            ("PLUGIN_SERVER_CERT", certificate),
            ("PLUGIN_SERVER_KEY", key),
            ("PLUGIN_CLIENT_ROOT_CERTS", authorities),
        ];
        let own = self.host.export();
        try_launch(&variables, |config| {
            config.tls = HostTls::Given {
                certificate: Pem::new(own.certificates_pem()),
                private_key: SecretPem::new(own.private_key_pem()),
                server_roots: Some(Pem::new(self.plugin.certificate_pem())),
            };
        })
        .await
    }
}

#[tokio::test]
async fn certificate() {
    let sides = GivenCertificates::new();
    let (own, host) = (sides.plugin.export(), sides.host.certificate_pem());
    let plugin = sides.launch(own.certificates_pem(), own.private_key_pem(), &host).await.unwrap();
    assert!(plugin.security().is_mutual());
    let other = Identity::generate().unwrap().export();
    let unknown = sides.launch(other.certificates_pem(), other.private_key_pem(), &host).await;
    unknown.expect_err("the host knows another certificate");
}

#[tokio::test]
async fn private_key() {
    let sides = GivenCertificates::new();
    let (own, host) = (sides.plugin.export(), sides.host.certificate_pem());
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), own.private_key_pem()).unwrap();
    let path = format!("file://{}", file.path().display());
    sides.launch(own.certificates_pem(), &path, &host).await.unwrap();
    let other = Identity::generate().unwrap().export();
    let error = sides.launch(own.certificates_pem(), other.private_key_pem(), &host).await.unwrap_err();
    assert!(stderr_of(&error).contains("rpcplugin::security::identity_key_mismatch"), "{error:?}");
}

#[tokio::test]
async fn client_roots() {
    let sides = GivenCertificates::new();
    let own = sides.plugin.export();
    let other = Identity::generate().unwrap().certificate_pem();
    let refused = sides.launch(own.certificates_pem(), own.private_key_pem(), &other).await;
    refused.expect_err("the plugin knows another host");
}

#[tokio::test]
async fn health() {
    assert!(launch(&[], |_| {}).await.ping().await.is_ok());
    let silent = launch(&[("PLUGIN_HEALTH_SERVICE_ENABLED", "false")], |_| {}).await;
    assert!(silent.ping().await.unwrap_err().to_string().contains("health"));
}

#[tokio::test]
async fn reflection() {
    for (value, expected) in [("true", Code::Ok), ("false", Code::Unimplemented)] {
        let plugin = launch(&[("PLUGIN_REFLECTION_ENABLED", value)], |_| {}).await;
        let asked = tokio_stream::once(ServerReflectionRequest::default());
        let answered = ServerReflectionClient::new(plugin.channel()).server_reflection_info(asked).await;
        assert_eq!(code(answered), expected, "{value}");
    }
}

#[tokio::test]
async fn capture_output() {
    for (value, source) in [("true", OutputSource::Stdout), ("false", OutputSource::RawStdout)] {
        let plugin = launch(&[("PLUGIN_CAPTURE_OUTPUT", value)], |_| {}).await;
        let mut options = OutputOptions::default();
        options.raw = true;
        let mut output = plugin.output(options);
        let request = WriteStdioRequest { stdout: "printed\n".into(), ..WriteStdioRequest::default() };
        client(&plugin).write_stdio(request).await.unwrap();
        loop {
            let chunk = timeout(TIMEOUT, output.next()).await.unwrap().unwrap();
            if chunk.bytes.windows(7).any(|window| window == b"printed") {
                assert_eq!(chunk.source, source, "{value}");
                break;
            }
        }
    }
}

/// An observer that blocks until the test lets it continue, and counts the output.
struct Slow {
    until: std::sync::Mutex<mpsc::Receiver<()>>,
    taken: Arc<AtomicUsize>,
}

impl Observer for Slow {
    fn stdout(&self, _: &PluginId, bytes: &[u8]) {
        tokio::task::block_in_place(|| self.until.lock().unwrap().recv().ok());
        self.taken.fetch_add(bytes.len(), Ordering::SeqCst);
    }
}

/// A plugin whose host does not read its output, the sender whose drop lets the host read, and the counter of output.
async fn unread(variables: &[(&str, &str)]) -> (Plugin, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (go_on, until) = mpsc::channel();
    let taken = Arc::<AtomicUsize>::default();
    let slow = Slow { until: until.into(), taken: Arc::clone(&taken) };
    let host = host().observe(slow).configure(|config| {
        // Small windows, so that little output is in transit.
        config.http2.stream_window = rpcplugin::config::ByteSize::kib(64);
        config.http2.connection_window = rpcplugin::config::ByteSize::kib(256);
    });
    (host.launch(plugin(variables)).await.unwrap(), go_on, taken)
}

const MUCH: usize = 3 << 20;

fn much() -> WriteStdioRequest {
    WriteStdioRequest { stdout: vec![b'x'; MUCH], ..WriteStdioRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_buffer() {
    for (buffer, all) in [("64KiB", false), ("16MiB", true)] {
        let variables = [("PLUGIN_OUTPUT_BUFFER", buffer), ("PLUGIN_OUTPUT_TIMEOUT", "0")];
        let (plugin, go_on, taken) = unread(&variables).await;
        client(&plugin).write_stdio(much()).await.unwrap();
        drop(go_on);
        plugin.shut_down().await;
        let taken = taken.load(Ordering::SeqCst);
        assert_eq!(taken >= MUCH, all, "{taken} of {MUCH} with {buffer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_timeout() {
    let small = ("PLUGIN_OUTPUT_BUFFER", "64KiB");
    let (hasty, _unread, _) = unread(&[small, ("PLUGIN_OUTPUT_TIMEOUT", "0")]).await;
    timeout(TIMEOUT, client(&hasty).write_stdio(much())).await.unwrap().unwrap();

    let (long, go_on, _) = unread(&[small, ("PLUGIN_OUTPUT_TIMEOUT", "60s")]).await;
    let mut waiting_client = client(&long);
    let mut writing = std::pin::pin!(waiting_client.write_stdio(much()));
    let held_up = timeout(Duration::from_millis(300), writing.as_mut()).await;
    assert!(held_up.is_err(), "the plugin waits for its host");
    drop(go_on);
    timeout(TIMEOUT, writing).await.unwrap().unwrap();
}

#[tokio::test]
async fn grace() {
    for (value, expected) in [("10s", Code::Ok), ("0", Code::Unavailable)] {
        let plugin = launch(&[("PLUGIN_GRPC_GRACE_PERIOD", value)], |config| config.grace = TIMEOUT).await;
        let mut client = client(&plugin);
        let mut other = client.clone();
        let sleeping = tokio::spawn(async move { client.sleep(SleepRequest { ms: 600 }).await });
        // The call is in flight when it has been counted.
        while other.info(InfoRequest {}).await.unwrap().get_ref().calls < 2 {}
        plugin.shut_down().await;
        let ended = code(sleeping.await.unwrap());
        assert_eq!(ended == Code::Ok, expected == Code::Ok, "{ended:?} with {value}");
    }
}

#[tokio::test]
async fn ready_timeout() {
    let cookie = MagicCookie::new("KEY", "value").unwrap();
    let loader = Loader::new().env([("PLUGIN_SERVER_READY_TIMEOUT", "20ms")]);
    let plugin = Serve::new(cookie).protocol(BasicProtocol::new(1)).load_config(&loader);
    let mut readiness = plugin.readiness();
    // The plugin is not run.
    assert_eq!(readiness.wait().await.unwrap_err().to_string(), "the plugin did not serve within 0.02 s");
}

fn interrupt(plugin: &Plugin) {
    send(plugin.pid().unwrap(), Signal::INT);
}

#[tokio::test]
async fn ignore_sigint() {
    let stays = launch(&[], |_| {}).await;
    interrupt(&stays);
    assert!(stays.ping().await.is_ok());
    let goes = launch(&[("PLUGIN_IGNORE_SIGINT", "false")], |_| {}).await;
    interrupt(&goes);
    timeout(TIMEOUT, goes.wait()).await.unwrap();
    assert_eq!(stays.ended(), None);
}

#[tokio::test]
async fn shutdown_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stop");
    let plugin = launch(&[("PLUGIN_SHUTDOWN_FILE_PATH", file.to_str().unwrap())], |_| {}).await;
    fs::write(&file, "").unwrap();
    assert!(timeout(TIMEOUT, plugin.wait()).await.unwrap().is_success());
    assert!(!file.exists());
}

/// A plugin that the test starts without a host library, and its handshake line.
fn without_library(variables: &[(&str, &str)]) -> (Child, String) {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_settings-plugin"))
        .env("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, line)
}

#[tokio::test]
async fn exit_with_host() {
    let (mut follows, _) = without_library(&[]);
    let (mut stays, _) = without_library(&[("PLUGIN_EXIT_WITH_HOST", "false")]);
    for child in [&mut follows, &mut stays] {
        drop((child.stdout.take(), child.stderr.take()));
    }
    eventually("the plugin ends", || follows.try_wait().unwrap().is_some()).await;
    assert!(is_alive(stays.id()));
    stays.kill().unwrap();
    stays.wait().unwrap();
}

#[tokio::test]
async fn max_receive_message_size() {
    let plugin = launch(&[("PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE", "1KiB")], |_| {}).await;
    assert_eq!(echo(&plugin, 500).await, Code::Ok);
    assert_ne!(echo(&plugin, 2000).await, Code::Ok);
    assert_eq!(echo(&launch(&[], |_| {}).await, 2000).await, Code::Ok);
}

#[tokio::test]
async fn max_send_message_size() {
    let big = |n| BigPayloadRequest { n, seed: 0 };
    let plugin = launch(&[("PLUGIN_GRPC_MAX_SEND_MESSAGE_SIZE", "1KiB")], |_| {}).await;
    assert_eq!(code(client(&plugin).big_payload(big(500)).await), Code::Ok);
    assert_ne!(code(client(&plugin).big_payload(big(2000)).await), Code::Ok);
    assert_eq!(code(client(&launch(&[], |_| {}).await).big_payload(big(2000)).await), Code::Ok);
}

#[tokio::test]
async fn broker_timeout() {
    let plugin = launch(&[("PLUGIN_BROKER_TIMEOUT", "30ms")], |_| {}).await;
    // This id is not served.
    let request = CallbackRequest { broker_id: 777, calls: 1, ..CallbackRequest::default() };
    let status = timeout(TIMEOUT, client(&plugin).callback(request)).await.unwrap().unwrap_err();
    assert!(status.message().contains("0.03 s"), "{status:?}");
}

#[tokio::test]
async fn workers() {
    let threads = |plugin: &Plugin| {
        let tasks = fs::read_dir(format!("/proc/{}/task", plugin.pid().unwrap())).unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("tokio")).count()
    };
    let (one, four) = (launch(&[], |_| {}).await, launch(&[("PLUGIN_WORKERS", "4")], |_| {}).await);
    assert_eq!(threads(&four) - threads(&one), 3);
}

#[tokio::test]
async fn log_level() {
    for (level, logged) in [("debug", true), ("error", false)] {
        let plugin = launch(&[("PLUGIN_LOG_LEVEL", level)], |_| {}).await;
        client(&plugin).info(InfoRequest {}).await.unwrap();
        // A record of the library at debug level, from before the handshake line.
        let is_logged = || plugin.stderr_tail().join("\n").contains("plugin address");
        if logged {
            eventually("the log", is_logged).await;
        }
        assert_eq!(is_logged(), logged, "{level}");
    }
}

#[tokio::test]
async fn supported_versions() {
    assert_eq!(launch(&[], |_| {}).await.version().0, 3);
    assert_eq!(launch(&[("SUPPORTED_PROTOCOL_VERSIONS", "1,2")], |_| {}).await.version().0, 2);
}

/// The number of calls that pass, of five in a row.
async fn passing_calls(variables: &[(&str, &str)]) -> usize {
    let plugin = launch(variables, |_| {}).await;
    let mut through = 0;
    for _ in 0..5 {
        match echo(&plugin, 1).await {
            Code::Ok => through += 1,
            refused => assert_eq!(refused, Code::ResourceExhausted),
        }
    }
    assert!(plugin.ping().await.is_ok(), "health is never limited");
    through
}

const SLOWLY: (&str, &str) = ("PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND", "0.01");

#[tokio::test]
async fn rate_limit_enabled() {
    let burst = ("PLUGIN_RATE_LIMIT_BURST_CAPACITY", "2");
    assert_eq!(passing_calls(&[SLOWLY, burst, ("PLUGIN_RATE_LIMIT_ENABLED", "true")]).await, 2);
    assert_eq!(passing_calls(&[SLOWLY, burst, ("PLUGIN_RATE_LIMIT_ENABLED", "false")]).await, 5);
}

#[tokio::test]
async fn rate_limit_burst_capacity() {
    for burst in [1, 3] {
        let value = burst.to_string();
        assert_eq!(passing_calls(&[SLOWLY, ("PLUGIN_RATE_LIMIT_BURST_CAPACITY", &value)]).await, burst);
    }
}

#[tokio::test]
async fn rate_limit_requests_per_second() {
    let burst = ("PLUGIN_RATE_LIMIT_BURST_CAPACITY", "1");
    let quick = launch(&[burst, ("PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND", "50")], |_| {}).await;
    let begun = std::time::Instant::now();
    let mut through = 0;
    while through < 3 {
        assert!(begun.elapsed() < TIMEOUT, "fifty tokens come back in a second");
        through += usize::from(echo(&quick, 1).await == Code::Ok);
    }
    assert_eq!(passing_calls(&[burst, SLOWLY]).await, 1);
}

#[tokio::test]
async fn rate_limit_per_service() {
    assert_eq!(passing_calls(&[("PLUGIN_RATE_LIMIT_PER_SERVICE", "conformance.v1.Kit=0.01/2")]).await, 2);
    assert_eq!(passing_calls(&[("PLUGIN_RATE_LIMIT_PER_SERVICE", "another.Service=0.01/2")]).await, 5);
}

#[tokio::test]
async fn rate_limit_per_method() {
    assert_eq!(passing_calls(&[("PLUGIN_RATE_LIMIT_PER_METHOD", "conformance.v1.Kit/Echo=0.01/2")]).await, 2);
    assert_eq!(passing_calls(&[("PLUGIN_RATE_LIMIT_PER_METHOD", "conformance.v1.Kit/Put=0.01/2")]).await, 5);
}

/// The HTTP/2 settings of a plugin without TLS.
async fn announced(variables: &[(&str, &str)]) -> PeerSettings {
    let plugin = launch(variables, |config| config.tls = HostTls::Plaintext).await;
    let stream = UnixStream::connect(plugin.endpoint().address().as_ref() as &str).await.unwrap();
    timeout(TIMEOUT, PeerSettings::read(stream, true)).await.unwrap().unwrap()
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
    let call = async |plugin: &Plugin| {
        let mut request = Request::new(EchoRequest::default());
        request.metadata_mut().insert("x-long", "x".repeat(40_000).parse().unwrap());
        code(client(plugin).echo(request).await)
    };
    assert_eq!(call(&launch(&[], |_| {}).await).await, Code::Ok);
    assert_ne!(call(&launch(&[("PLUGIN_HTTP2_MAX_HEADERS", "16KiB")], |_| {}).await).await, Code::Ok);
}

#[tokio::test]
async fn http2_handshake_timeout() {
    let plugin = launch(&[("PLUGIN_HTTP2_HANDSHAKE_TIMEOUT", "100ms")], |_| {}).await;
    let Endpoint::Unix(path) = plugin.endpoint() else { panic!("a socket") };
    let mut silent = UnixStream::connect(path.as_path()).await.unwrap();
    let hung_up = timeout(Duration::from_secs(15), silent.read(&mut [0; 16])).await;
    assert!(hung_up.is_ok(), "well before the default of 20 s");
}

/// The start of the stdout of a plugin with these variables and this cookie.
fn stdout_of(variables: &[(&str, &str)], cookie: (&str, &str)) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_settings-plugin"))
        .env_clear()
        .envs(variables.iter().copied())
        .env(cookie.0, cookie.1)
        .env("PLUGIN_SHUTDOWN_FILE_PATH", "/dev/null/none")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = output.unwrap();
    let mut first = [0; 2];
    let printed = child.stdout.as_mut().unwrap().read_exact(&mut first).is_ok();
    child.kill().unwrap();
    child.wait().unwrap();
    if printed { String::from_utf8_lossy(&first).into_owned() } else { String::new() }
}

const COOKIE: [(&str, &str); 2] =
    [("PLUGIN_MAGIC_COOKIE_KEY", "MY_COOKIE"), ("PLUGIN_MAGIC_COOKIE_VALUE", "sweet")];

#[tokio::test]
async fn magic_cookie_key() {
    assert_eq!(stdout_of(&COOKIE, ("MY_COOKIE", "sweet")), "1|");
    assert_eq!(stdout_of(&COOKIE, ("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance")), "");
}

#[tokio::test]
async fn magic_cookie_value() {
    assert_eq!(stdout_of(&COOKIE, ("MY_COOKIE", "bitter")), "");
}
