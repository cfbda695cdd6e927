//! Each fault of a plugin's start has the code under which it is documented.

use std::{fmt::Debug, io, time::Duration};

use miette::Diagnostic;
use rpcplugin_config::{Format, Loader, Pem, PluginConfig, PluginTls, SecretPem, TransportKind};
use rpcplugin_core::{Endpoint, MagicCookie, Versions};
use rpcplugin_handshake::{HostEnvFault, ReceivedEnv};
use rpcplugin_mtls::Identity;
use rpcplugin_server::{BasicProtocol, BoxError, Serve, ServeError, Transport};
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

fn offer(change: impl FnOnce(&mut ReceivedEnv)) -> ReceivedEnv {
    let mut offer = ReceivedEnv::default();
    change(&mut offer);
    offer
}

#[tokio::test]
async fn of_what_is_served() {
    let cookie = MagicCookie::new("CODES", "of plugins").expect("a cookie");
    let none = ReceivedEnv::default();
    check(Serve::new(cookie).bind(&none).await, "rpcplugin::config::nothing_served");
    let others = plugin(|config| config.supported_versions = Some(Versions::from(7)));
    check(others.bind(&none).await, "rpcplugin::config::nothing_supported");
    let faulty = plugin(|_| {}).load_config(&Loader::new().text("c.toml", "grace = 'x'", Format::Toml));
    check(faulty.bind(&none).await, "rpcplugin::config::invalid");
}

#[tokio::test]
async fn of_security() {
    let none = ReceivedEnv::default();
    let asking = offer(|offer| {
        offer.client_certificate = Some(Identity::generate().expect("made").certificate_pem());
    });
    let refusing = plugin(|config| config.tls = PluginTls::Plaintext);
    check(refusing.bind(&asking).await, "rpcplugin::security::mtls_refused");
    let rubbish = offer(|offer| offer.client_certificate = Some("rubbish".to_owned()));
    check(plugin(|_| {}).bind(&rubbish).await, "rpcplugin::security::host_certificate");

    let identity = Identity::generate().expect("made").export();
    let given = |certificate: &str, client_roots: Pem| {
        let (certificate, private_key) = (Pem::new(certificate), SecretPem::new(identity.private_key_pem()));
        plugin(|config| config.tls = PluginTls::Given { certificate, private_key, client_roots })
    };
    let roots = Pem::new(Identity::generate().expect("made").certificate_pem());
    let alone = || plugin(|config| config.tls = PluginTls::AutoMtls { client_roots: Some(roots.clone()) });
    check(alone().bind(&none).await, "rpcplugin::security::unproven_host");
    check(alone().bind(&rubbish).await, "rpcplugin::security::host_certificate");
    let unknown = given(identity.certificates_pem(), Pem::new("-----BEGIN X"));
    check(unknown.bind(&none).await, "rpcplugin::security::given_authorities");
    let damaged = given("-----BEGIN X", roots);
    check(damaged.bind(&none).await, "rpcplugin::security::given_certificates");
}

/// A transport that has nowhere to listen.
struct Nowhere;

struct Never;

impl Listen for Never {
    async fn accept(&mut self) -> Option<Stream> {
        None
    }
}

impl Transport for Nowhere {
    type Listener = Never;

    async fn bind(self) -> Result<(Never, Endpoint), BoxError> {
        Err("the tunnel is closed".into())
    }
}

#[tokio::test]
async fn of_listening() {
    let none = ReceivedEnv::default();
    check(plugin(|_| {}).transport(Nowhere).bind(&none).await, "rpcplugin::transport::own");
    let unix = |config: &mut PluginConfig| config.transports = vec![TransportKind::Unix];
    let stranger = offer(|offer| offer.socket_group = Some("no such group".to_owned()));
    check(plugin(unix).bind(&stranger).await, "rpcplugin::transport::no_socket_dir");
    let directory = tempfile::tempdir().expect("a directory");
    let taken = directory.path().join("taken");
    std::fs::write(&taken, "precious").expect("written");
    let taken = plugin(unix).configure(|config| config.unix_socket_path = Some(taken));
    check(taken.bind(&none).await, "rpcplugin::transport::cannot_listen");
    let fault = HostEnvFault { variable: "PLUGIN_MIN_PORT", value: "many".to_owned(), expected: "a port" };
    let portless = offer(|offer| offer.faults.push(fault));
    let tcp = plugin(|config| config.transports = vec![TransportKind::Tcp]);
    check(tcp.bind(&portless).await, "rpcplugin::handshake::ports");
}

/// Somebody who closed their ears.
struct Deaf;

impl io::Write for Deaf {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn of_announcing() {
    let bound = plugin(|_| {}).bind(&ReceivedEnv::default()).await.expect("bound");
    check(bound.announce(&mut Deaf), "rpcplugin::handshake::cannot_announce");
}

#[tokio::test]
async fn of_readiness() {
    let plugin = plugin(|config| config.ready_timeout = Duration::from_millis(20));
    let mut readiness = plugin.readiness();
    check(readiness.wait().await, "rpcplugin::transport::plugin_not_ready");
    drop(plugin);
    check(readiness.wait().await, "rpcplugin::transport::plugin_not_serving");
}

#[test]
fn of_what_hardly_ever_happens() {
    let code = |error: ServeError| error.code().expect("a code").to_string();
    assert_eq!(code(ServeError::NoTransport), "rpcplugin::config::no_transport");
    assert_eq!(code(ServeError::Process(io::Error::other("no threads"))), "rpcplugin::transport::process");
    let failed = || rpcplugin_mtls::IdentityError::Generate { source: "no randomness".into() };
    assert_eq!(code(ServeError::Identity(failed())), "rpcplugin::security::identity");
}
