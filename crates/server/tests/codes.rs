//! Each fault of a plugin's start has its documented code.

use std::{fmt::Debug, io, time::Duration};

use miette::Diagnostic;
use rpcplugin_config::{Format, Loader, Pem, PluginConfig, PluginTls, SecretPem, TransportKind};
use rpcplugin_core::{Endpoint, MagicCookie, Versions};
use rpcplugin_handshake::{HostEnvFault, ReceivedEnv};
use rpcplugin_mtls::{Identity, TlsError};
use rpcplugin_server::{BasicProtocol, BoxError, CustomTransport, Serve, ServeError};
use rpcplugin_transport::{Listen, Stream};

fn plugin(change: impl FnOnce(&mut PluginConfig)) -> Serve {
    let cookie = MagicCookie::new("CODES", "of plugins").expect("a cookie");
    Serve::new(cookie).protocol(BasicProtocol::new(1)).configure(change)
}

#[track_caller]
fn check<T: Debug, E: Diagnostic>(result: Result<T, E>, code: &str) {
    let error = result.expect_err(code);
    assert_eq!(error.code().expect("a code").to_string(), code, "{error:?}");
}

fn env(change: impl FnOnce(&mut ReceivedEnv)) -> ReceivedEnv {
    let mut env = ReceivedEnv::default();
    change(&mut env);
    env
}

#[tokio::test]
async fn faults_of_versions_and_settings_have_their_codes() {
    let cookie = MagicCookie::new("CODES", "of plugins").expect("a cookie");
    let none = ReceivedEnv::default();
    check(Serve::new(cookie).bind(&none).await, "rpcplugin::config::nothing_served");
    let others = plugin(|config| config.supported_versions = Some(Versions::from(7)));
    check(others.bind(&none).await, "rpcplugin::config::nothing_supported");
    let faulty = plugin(|_| {}).load_config(&Loader::new().text("c.toml", "grace = 'x'", Format::Toml));
    check(faulty.bind(&none).await, "rpcplugin::config::invalid");
}

#[tokio::test]
async fn faults_of_security_have_their_codes() {
    let none = ReceivedEnv::default();
    let asking = env(|env| {
        env.client_certificate = Some(Identity::generate().expect("made").certificate_pem());
    });
    let refusing = plugin(|config| config.tls = PluginTls::Plaintext);
    check(refusing.bind(&asking).await, "rpcplugin::security::mtls_refused");
    let rubbish = env(|env| env.client_certificate = Some("rubbish".to_owned()));
    check(plugin(|_| {}).bind(&rubbish).await, "rpcplugin::security::host_certificate");

    let identity = Identity::generate().expect("made").export();
    let given = |certificate: &str, client_roots: Pem| {
        let (certificate, private_key) = (Pem::new(certificate), SecretPem::new(identity.private_key_pem()));
        plugin(|config| config.tls = PluginTls::Given { certificate, private_key, client_roots })
    };
    let roots = Pem::new(Identity::generate().expect("made").certificate_pem());
    let alone = || plugin(|config| config.tls = PluginTls::AutoMtls { client_roots: Some(roots.clone()) });
    check(alone().bind(&none).await, "rpcplugin::security::host_without_certificate");
    check(alone().bind(&rubbish).await, "rpcplugin::security::host_certificate");
    let unknown = given(identity.certificates_pem(), Pem::new("-----BEGIN X"));
    check(unknown.bind(&none).await, "rpcplugin::security::client_roots");
    let damaged = given("-----BEGIN X", roots);
    check(damaged.bind(&none).await, "rpcplugin::security::server_certificate");
}

/// A transport that has nowhere to listen.
struct Nowhere;

struct Never;

impl Listen for Never {
    async fn accept(&mut self) -> Option<Stream> {
        None
    }
}

impl CustomTransport for Nowhere {
    type Listener = Never;

    async fn bind(self) -> Result<(Never, Endpoint), BoxError> {
        Err("the tunnel is closed".into())
    }
}

#[tokio::test]
async fn faults_of_listening_have_their_codes() {
    let none = ReceivedEnv::default();
    check(plugin(|_| {}).transport(Nowhere).bind(&none).await, "rpcplugin::transport::custom_transport");
    let unix = |config: &mut PluginConfig| config.transports = vec![TransportKind::Unix];
    let ungrouped = env(|env| env.socket_group = Some("no such group".to_owned()));
    let unusable = if cfg!(unix) {
        "rpcplugin::transport::no_plugin_socket_dir"
    } else {
        "rpcplugin::config::no_transport"
    };
    check(plugin(unix).bind(&ungrouped).await, unusable);
    let directory = tempfile::tempdir().expect("a directory");
    let taken = directory.path().join("taken");
    std::fs::write(&taken, "precious").expect("written");
    let taken = plugin(unix).configure(|config| config.unix_socket_path = Some(taken));
    check(taken.bind(&none).await, "rpcplugin::transport::cannot_listen");
    let fault = HostEnvFault { variable: "PLUGIN_MIN_PORT", value: "many".to_owned(), expected: "a port" };
    let portless = env(|env| env.faults.push(fault));
    let tcp = plugin(|config| config.transports = vec![TransportKind::Tcp]);
    check(tcp.bind(&portless).await, "rpcplugin::handshake::host_ports");
}

/// A stdout that is closed.
struct Closed;

impl io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn faults_of_the_handshake_line_have_their_codes() {
    let bound = plugin(|_| {}).bind(&ReceivedEnv::default()).await.expect("bound");
    check(bound.announce(&mut Closed), "rpcplugin::handshake::cannot_announce");
}

#[tokio::test]
async fn faults_of_readiness_have_their_codes() {
    let plugin = plugin(|config| config.ready_timeout = Duration::from_millis(20));
    let mut readiness = plugin.readiness();
    check(readiness.wait().await, "rpcplugin::transport::plugin_not_ready");
    drop(plugin);
    check(readiness.wait().await, "rpcplugin::transport::plugin_not_serving");
}

#[test]
fn faults_that_are_hard_to_provoke_have_their_codes() {
    let code = |error: ServeError| error.code().expect("a code").to_string();
    assert_eq!(code(ServeError::NoTransport), "rpcplugin::config::no_transport");
    assert_eq!(
        code(ServeError::Process(io::Error::other("no threads"))),
        "rpcplugin::transport::process_setup"
    );
    let failed = || rpcplugin_mtls::IdentityError::Generate { source: "no randomness".into() };
    assert_eq!(code(ServeError::EphemeralIdentity(failed())), "rpcplugin::security::ephemeral_identity");
    let name = || TlsError::ServerName { name: "no name".to_owned() };
    assert_eq!(code(name().into()), "rpcplugin::security::plugin_tls_settings");
}
