//! Each error has its documented code.

use std::{fs, net::Ipv4Addr, path::Path, time::Duration};

use miette::Diagnostic;
use rpcplugin_core::{Endpoint, SocketPath};
use rpcplugin_mtls::{Identity, MutualTls, Trust};
use rpcplugin_transport::{
    Listener, SecureStream, Security, SocketDir, SocketGroup, Stream, dial,
    http2::{self, ChannelError, Connect},
};
use tokio::io::AsyncWriteExt as _;

#[track_caller]
fn check(error: &dyn Diagnostic, code: &str) {
    assert_eq!(error.code().expect("a code").to_string(), code, "{error}");
    assert!(error.help().is_some_and(|help| !help.to_string().is_empty()), "{error}");
}

#[tokio::test]
async fn errors_of_listening_have_their_codes() {
    let dir = SocketDir::private(None).expect("a directory");
    let path = SocketPath::new(dir.path().join("given")).expect("it fits");
    let live = Listener::unix_at(&path, None).expect("bound");
    check(&Listener::unix_at(&path, None).expect_err("live"), "rpcplugin::transport::socket_in_use");
    drop(live);
    fs::write(path.as_path(), "precious").expect("written");
    check(&Listener::unix_at(&path, None).expect_err("a file"), "rpcplugin::transport::not_a_socket");

    let localhost = Ipv4Addr::LOCALHOST.into();
    let any = Listener::tcp(localhost, 0..=0).await.expect("any port");
    let Endpoint::Tcp(taken) = any.endpoint() else { panic!("a tcp port") };
    let taken = Listener::tcp(localhost, taken.port()..=taken.port()).await.expect_err("taken");
    check(&taken, "rpcplugin::transport::no_free_port");
    // An address of TEST-NET-1, which no machine has.
    let nowhere = Listener::tcp(Ipv4Addr::new(192, 0, 2, 1).into(), 0..=0).await.expect_err("not ours");
    check(&nowhere, "rpcplugin::transport::cannot_bind");
}

#[test]
fn errors_of_socket_directories_have_their_codes() {
    let deep = tempfile::tempdir().expect("a directory");
    let deep = deep.path().join("x".repeat(100));
    fs::create_dir_all(&deep).expect("made");
    let unfit = SocketDir::private_in(&deep, None).expect_err("too long");
    check(&unfit, "rpcplugin::transport::socket_dir_too_long");
    let nowhere = SocketDir::private_in(Path::new("/nowhere/at/all"), None).expect_err("not there");
    check(&nowhere, "rpcplugin::transport::socket_dir_not_made");
    check(&SocketGroup::find("no such group").expect_err("none"), "rpcplugin::config::unknown_group");
}

/// Connects to an endpoint.
struct To(Endpoint);

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(Security::Plain.client(dial(&self.0).await?).await?)
    }
}

/// Connects to a peer that has hung up.
struct HungUp;

impl Connect for HungUp {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let (near, _) = tokio::io::duplex(1024);
        Ok(Security::Plain.client(Stream::other(near)).await?)
    }
}

/// Never connects.
struct Silent;

impl Connect for Silent {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        std::future::pending().await
    }
}

/// Fails with an error of its own.
struct Broken;

impl Connect for Broken {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Err(ChannelError::Other { what: "the tunnel is closed", source: "no tunnel".into() })
    }
}

#[tokio::test]
async fn errors_of_connecting_have_their_codes() {
    let dir = SocketDir::private(None).expect("a directory");
    let listener = Listener::unix_in(&dir).expect("bound");
    let endpoint = listener.endpoint().clone();
    let settings = http2::Settings::default();

    // A peer that hangs up at the first byte.
    let cut = http2::connect(HungUp, &settings).await.expect_err("no reader");
    check(&cut, "rpcplugin::transport::not_http2");

    let mut hasty = settings.clone();
    hasty.handshake_timeout = Duration::from_millis(20);
    let silent = http2::connect(Silent, &hasty).await.expect_err("no answer");
    check(&silent, "rpcplugin::transport::peer_timeout");

    drop(listener);
    let gone = http2::connect(To(endpoint), &settings).await.expect_err("no listener");
    check(&gone, "rpcplugin::transport::cannot_connect");
    let broken = http2::connect(Broken, &settings).await.expect_err("broken");
    check(&broken, "rpcplugin::transport::connector_failed");
}

#[tokio::test]
async fn errors_of_tls_have_their_codes() {
    let (ours, theirs) = (Identity::generate().expect("made"), Identity::generate().expect("made"));
    let tls = MutualTls::new(ours, Trust::Pinned(theirs.peer_certificate())).expect("settings");
    let (near, mut far) = tokio::io::duplex(1024);
    far.write_all(b"this is not a TLS record at all").await.expect("written");
    let refused = Security::Mutual(tls).client(Stream::other(near)).await.expect_err("no TLS");
    check(&refused, "rpcplugin::security::tls_handshake_failed");
}
