//! The hosts that a plugin accepts and refuses.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use rpcplugin::{
    tls::{Identity, MutualTls, PeerCertificate, RootCertificates, Trust},
    transport::Security,
};
use tonic::Code;

use crate::subject::{Running, channel, greet, shut_down, subject};

/// A host under AutoMTLS that trusts the certificate from the handshake line.
fn host(identity: &Identity, plugin: &Running) -> Security {
    let announced = plugin.answer.certificate.clone().expect("a certificate in the line");
    let trust = Trust::Pinned(PeerCertificate::from_der(announced).unwrap());
    Security::Mutual(MutualTls::new(identity.clone(), trust).unwrap())
}

/// The first call on a connection. Under TLS 1.3, a host learns of a refusal only then.
async fn call(plugin: &Running, security: Security) -> Result<String, String> {
    let channel = channel(&plugin.endpoint(), security).await.map_err(|error| error.to_string())?;
    greet(channel, "x").await.map_err(|status| {
        let broken = [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled];
        assert!(broken.contains(&status.code()), "{status}");
        status.to_string()
    })
}

#[tokio::test]
async fn auto_mtls_accepts_only_the_host() {
    let identity = Identity::generate().unwrap();
    let plugin = subject().env("PLUGIN_CLIENT_CERT", identity.certificate_pem()).start();
    assert_eq!(call(&plugin, host(&identity, &plugin)).await.as_deref(), Ok("hello x"));
    let unknown = Identity::generate().unwrap();
    call(&plugin, host(&unknown, &plugin)).await.expect_err("another identity");
    call(&plugin, Security::Plain).await.expect_err("no TLS");
    let channel = channel(&plugin.endpoint(), host(&identity, &plugin)).await.unwrap();
    assert!(greet(channel.clone(), "facts").await.unwrap().contains("mutual_tls: true"));
    shut_down(channel).await.unwrap();
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn a_plugin_without_tls_refuses_a_host_that_asks_for_it() {
    let identity = Identity::generate().unwrap();
    let start =
        subject().env("PLUGIN_CLIENT_CERT", identity.certificate_pem()).env("PLUGIN_AUTO_MTLS", "false");
    start.refused().await.printed(&["the host requests mutual TLS", "help:"]);
}

#[tokio::test]
async fn given_certificates_require_a_host_that_the_roots_signed() {
    // The certificate of each side is the root of the other.
    let (plugin_identity, host_identity) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let start = subject();
    let file = |name: &str, text: &str| {
        std::fs::write(start.path(name), text).unwrap();
        format!("file://{}", start.path(name).display())
    };
    let exported = plugin_identity.export();
    let certificate = file("plugin.pem", exported.certificates_pem());
    let key = file("plugin.key", exported.private_key_pem());
    let plugin = start
        .env("PLUGIN_SERVER_CERT", certificate)
        .env("PLUGIN_SERVER_KEY", key)
        .env("PLUGIN_CLIENT_ROOT_CERTS", host_identity.certificate_pem())
        .start();
    assert_eq!(plugin.answer.certificate, None, "the handshake line needs no certificate");
    let as_host = |identity: &Identity| {
        let authorities = RootCertificates::from_pem(&plugin_identity.certificate_pem()).unwrap();
        let trust = Trust::Roots(authorities);
        Security::Mutual(MutualTls::new(identity.clone(), trust).unwrap())
    };
    assert_eq!(call(&plugin, as_host(&host_identity)).await.as_deref(), Ok("hello x"));
    call(&plugin, as_host(&Identity::generate().unwrap())).await.expect_err("no root signed it");
    call(&plugin, Security::Plain).await.expect_err("no TLS");
}

#[tokio::test]
async fn a_certificate_that_is_not_utf8_is_never_ignored() {
    let identity = Identity::generate().unwrap();
    let offered = |before: &[u8], pem: &str| {
        let bytes = [before, pem.as_bytes()].concat();
        subject().env("PLUGIN_CLIENT_CERT", OsString::from_vec(bytes))
    };
    let pem = identity.certificate_pem();
    // A comment in another encoding is not a part of the certificate.
    let plugin = offered(b"# Z\xfcrich\n", &pem).start();
    assert_eq!(call(&plugin, host(&identity, &plugin)).await.as_deref(), Ok("hello x"));
    call(&plugin, Security::Plain).await.expect_err("no TLS");
    let refused = offered(b"-----BEGIN CERTIFICATE-----\n\xfc\n", &pem).refused().await;
    refused.printed(&["the host's certificate cannot be read", "help:"]);
    offered(b"\xff", "").refused().await.printed(&["the host's certificate cannot be read", "help:"]);
}

#[tokio::test]
async fn roots_alone_accept_hosts_that_they_signed_and_never_plain_text() {
    let known = Identity::generate().unwrap();
    let start = |offered: Option<&Identity>| {
        let start = subject().env("PLUGIN_CLIENT_ROOT_CERTS", known.certificate_pem());
        match offered {
            Some(identity) => start.env("PLUGIN_CLIENT_CERT", identity.certificate_pem()),
            None => start,
        }
    };
    start(None).refused().await.printed(&["the host has no certificate", "PLUGIN_SERVER_CERT", "help:"]);
    let plugin = start(Some(&known)).start();
    assert_eq!(call(&plugin, host(&known, &plugin)).await.as_deref(), Ok("hello x"));
    let unknown = Identity::generate().unwrap();
    call(&plugin, host(&unknown, &plugin)).await.expect_err("no root signed it");
    call(&plugin, Security::Plain).await.expect_err("no TLS");
    // A certificate in the handshake variables does not become a root.
    let plugin = start(Some(&unknown)).start();
    call(&plugin, host(&unknown, &plugin)).await.expect_err("no root signed it");
}

#[tokio::test]
async fn faults_of_certificates_are_reported_before_the_plugin_listens() {
    let exported = Identity::generate().unwrap().export();
    let other = Identity::generate().unwrap().export();
    let start = subject();
    let missing = format!("file://{}", start.path("missing.pem").display());
    std::fs::write(start.path("other.key"), other.private_key_pem()).unwrap();
    let other_key = format!("file://{}", start.path("other.key").display());
    let (certificate, key) = (exported.certificates_pem(), exported.private_key_pem());
    let given = |certificate: &str, key: &str| {
        subject()
            .env("PLUGIN_SERVER_CERT", certificate)
            .env("PLUGIN_SERVER_KEY", key)
            .env("PLUGIN_CLIENT_ROOT_CERTS", exported.certificates_pem())
    };
    given(&missing, key).refused().await.printed(&["missing.pem", "help:"]);
    given(certificate, "rubbish").refused().await.printed(&["PLUGIN_SERVER_KEY", "help:"]);
    given(certificate, &other_key).refused().await.printed(&["other.key", "help:"]);
    let past = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/mtls/tests/data/expired.cert.pem");
    let expired = given(certificate, key).env("PLUGIN_CLIENT_ROOT_CERTS", format!("file://{past}"));
    expired.refused().await.printed(&["expired.cert.pem", "expired on", "help:"]);
    let alone = subject().env("PLUGIN_SERVER_CERT", certificate);
    alone.refused().await.printed(&["PLUGIN_SERVER_CERT: certificate is set without private_key", "help:"]);
    subject()
        .env("PLUGIN_SERVER_CERT", certificate)
        .env("PLUGIN_SERVER_KEY", key)
        .refused()
        .await
        .printed(&["PLUGIN_CLIENT_ROOT_CERTS", "help:"]);
}
