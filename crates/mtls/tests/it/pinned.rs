//! Pinned peers: certificates that are accepted and refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rpcplugin_mtls::{Identity, KeyAlgorithm, PeerCertificate};
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DistinguishedName, Error, HandshakeKind, PeerIncompatible,
    ProtocolVersion, SignatureScheme,
};

use crate::parties::{Authority, OtherPeer, VERSIONS, data, handshake, localhost, pinning};

const NOT_THE_PINNED: CertificateError = CertificateError::ApplicationVerificationFailure;

#[test]
fn two_generated_identities_connect_over_tls13_and_http2() {
    let (host, plugin) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let of_host = pinning(&host, &plugin.peer_certificate());
    let of_plugin = pinning(&plugin, &host.peer_certificate());

    for (dialer, acceptor) in [(&of_host, &of_plugin), (&of_plugin, &of_host)] {
        let outcome = handshake(dialer.client_config(), acceptor.server_config(), dialer.server_name());
        outcome.assert_connected();
        assert_eq!(outcome.version, Some(ProtocolVersion::TLSv1_3));
    }
}

#[test]
fn every_kind_of_key_connects_in_both_roles_and_versions() {
    let us = Identity::generate().unwrap();
    for (certificate, key) in [
        ("rsa2048.cert.pem", "rsa2048.pkcs8.pem"),
        ("rsa2048.cert.pem", "rsa2048.pkcs1.pem"),
        ("p256.cert.pem", "p256.pkcs8.pem"),
        ("p256.cert.pem", "p256.sec1.pem"),
        ("p384.cert.pem", "p384.pkcs8.pem"),
        ("p384.cert.pem", "p384.sec1.pem"),
        ("ed25519.cert.pem", "ed25519.pkcs8.pem"),
    ] {
        let them = Identity::from_pem(&data(certificate), &data(key)).unwrap();
        let ours = pinning(&us, &them.peer_certificate());
        let theirs = pinning(&them, &us.peer_certificate());
        for version in VERSIONS {
            let foreign = OtherPeer::with(&them, version);
            handshake(ours.client_config(), foreign.server(), localhost()).assert_connected();
            handshake(foreign.client(), ours.server_config(), localhost()).assert_connected();
            // In the other direction the loaded identity uses this crate's settings.
            let foreign = OtherPeer::with(&us, version);
            handshake(theirs.client_config(), foreign.server(), localhost()).assert_connected();
            handshake(foreign.client(), theirs.server_config(), localhost()).assert_connected();
        }
    }
}

#[test]
fn every_kind_of_key_that_can_be_made_connects() {
    let us = Identity::generate().unwrap();
    let mut algorithms = vec![KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519];
    if cfg!(feature = "aws-lc-rs") {
        algorithms.push(KeyAlgorithm::P521);
    }
    for algorithm in algorithms {
        let them = Identity::generate_with(algorithm).unwrap();
        let ours = pinning(&us, &them.peer_certificate());
        let theirs = pinning(&them, &us.peer_certificate());
        handshake(ours.client_config(), theirs.server_config(), localhost()).assert_connected();
        handshake(theirs.client_config(), ours.server_config(), localhost()).assert_connected();
    }
}

#[test]
fn the_identity_of_a_go_plugin_process_connects_in_both_roles() {
    let us = Identity::generate().unwrap();
    let go = PeerCertificate::from_pem(&data("go-plugin-p521.cert.pem")).unwrap();
    let ours = pinning(&us, &go);
    let cases = [
        (VERSIONS[1], SignatureScheme::ECDSA_NISTP521_SHA512),
        (VERSIONS[0], SignatureScheme::ECDSA_NISTP521_SHA512),
        // TLS 1.2 ties no hash to a curve: Go signs with the first hash of our list.
        (VERSIONS[0], SignatureScheme::ECDSA_NISTP384_SHA384),
        (VERSIONS[0], SignatureScheme::ECDSA_NISTP256_SHA256),
    ];
    for (version, scheme) in cases {
        let foreign = OtherPeer::go_plugin(scheme, version);
        handshake(ours.client_config(), foreign.server(), localhost()).assert_connected();
        handshake(foreign.client(), ours.server_config(), localhost()).assert_connected();
    }
}

#[test]
fn a_p521_key_may_not_sign_with_the_scheme_of_another_curve_in_tls13() {
    let us = Identity::generate().unwrap();
    let go = PeerCertificate::from_pem(&data("go-plugin-p521.cert.pem")).unwrap();
    let foreign = OtherPeer::go_plugin(SignatureScheme::ECDSA_NISTP384_SHA384, VERSIONS[1]);
    let outcome = handshake(pinning(&us, &go).client_config(), foreign.server(), localhost());
    assert!(outcome.client.is_err(), "{outcome:?}");
}

#[test]
fn another_server_certificate_is_refused() {
    let [us, agreed, other] = three();
    for version in VERSIONS {
        let ours = pinning(&us, &agreed.peer_certificate());
        let outcome = handshake(ours.client_config(), OtherPeer::with(&other, version).server(), localhost());
        outcome.assert_client_refuses(NOT_THE_PINNED);
    }
}

#[test]
fn another_client_certificate_is_refused() {
    let [us, agreed, other] = three();
    for version in VERSIONS {
        let ours = pinning(&us, &agreed.peer_certificate());
        let outcome = handshake(OtherPeer::with(&other, version).client(), ours.server_config(), localhost());
        outcome_of_refused_client(&outcome, NOT_THE_PINNED);
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let [us, agreed, _] = three();
    for version in VERSIONS {
        let ours = pinning(&us, &agreed.peer_certificate());
        let outcome = handshake(OtherPeer::anonymous(version).client(), ours.server_config(), localhost());
        outcome_of_refused_client(&outcome, Error::NoCertificatesPresented);
    }
}

#[test]
fn a_stolen_server_certificate_is_refused() {
    let [us, agreed, thief] = three();
    for version in VERSIONS {
        let ours = pinning(&us, &agreed.peer_certificate());
        let thief = OtherPeer::with_copied_certificate(&agreed, &thief, version);
        let outcome = handshake(ours.client_config(), thief.server(), localhost());
        outcome.assert_client_refuses(CertificateError::BadSignature);
    }
}

#[test]
fn a_stolen_client_certificate_is_refused() {
    let [us, agreed, thief] = three();
    for version in VERSIONS {
        let ours = pinning(&us, &agreed.peer_certificate());
        let thief = OtherPeer::with_copied_certificate(&agreed, &thief, version);
        let outcome = handshake(thief.client(), ours.server_config(), localhost());
        outcome_of_refused_client(&outcome, CertificateError::BadSignature);
    }
}

#[test]
fn a_certificate_that_the_pinned_one_signed_is_refused() {
    let us = Identity::generate().unwrap();
    let authority = Authority::new("pinned");
    let child = authority.issue(&["localhost"], |_| {});
    let ours = pinning(&us, &PeerCertificate::from_pem(&authority.own.certificates).unwrap());
    for version in VERSIONS {
        let child = child.foreign(version);
        let outcome = handshake(ours.client_config(), child.server(), localhost());
        outcome.assert_client_refuses(NOT_THE_PINNED);
        let outcome = handshake(child.client(), ours.server_config(), localhost());
        outcome_of_refused_client(&outcome, NOT_THE_PINNED);
    }
}

#[test]
fn neither_name_nor_dates_of_a_pinned_certificate_matter() {
    let us = Identity::generate().unwrap();
    let ours = pinning(&us, &PeerCertificate::from_pem(&data("expired.cert.pem")).unwrap())
        .with_server_name("elsewhere.example")
        .unwrap();
    for version in VERSIONS {
        let expired = OtherPeer::new(&data("expired.cert.pem"), &data("p256.pkcs8.pem"), version);
        handshake(ours.client_config(), expired.server(), ours.server_name()).assert_connected();
        handshake(expired.client(), ours.server_config(), localhost()).assert_connected();
    }
}

#[test]
fn a_peer_with_another_protocol_is_refused() {
    let [us, agreed, _] = three();
    let ours = pinning(&us, &agreed.peer_certificate());
    for version in VERSIONS {
        let mut foreign = OtherPeer::with(&agreed, version);
        foreign.alpn = vec![b"http/1.1".to_vec()];
        let outcome = handshake(foreign.client(), ours.server_config(), localhost());
        outcome.assert_server_refuses(Error::NoApplicationProtocol);
        let outcome = handshake(ours.client_config(), foreign.server(), localhost());
        assert!(
            outcome.client.is_err() && outcome.server == Err(Error::NoApplicationProtocol),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_peer_without_a_protocol_must_present_its_certificate() {
    let [us, agreed, other] = three();
    let ours = pinning(&us, &agreed.peer_certificate());
    for version in VERSIONS {
        let mut silent = OtherPeer::with(&agreed, version);
        silent.alpn = Vec::new();
        for outcome in [
            handshake(silent.client(), ours.server_config(), localhost()),
            handshake(ours.client_config(), silent.server(), localhost()),
        ] {
            assert!(
                outcome.client.is_ok() && outcome.server.is_ok() && outcome.alpn.is_none(),
                "{outcome:?}"
            );
        }
        let mut peer = OtherPeer::with(&other, version);
        peer.alpn = Vec::new();
        let outcome = handshake(peer.client(), ours.server_config(), localhost());
        outcome_of_refused_client(&outcome, NOT_THE_PINNED);
    }
}

#[test]
fn no_session_is_resumed_and_no_ticket_is_given() {
    let [us, agreed, _] = three();
    let ours = pinning(&us, &agreed.peer_certificate());
    for version in VERSIONS {
        let foreign = OtherPeer::with(&agreed, version);
        let (as_client, as_server) = (foreign.client(), foreign.server());
        for _ in 0..2 {
            for (client, server) in
                [(as_client.clone(), ours.server_config()), (ours.client_config(), as_server.clone())]
            {
                let outcome = handshake(client, server, localhost());
                outcome.assert_connected();
                assert_ne!(outcome.kind, Some(HandshakeKind::Resumed));
            }
        }
        assert_eq!(handshake(as_client, ours.server_config(), localhost()).tickets, 0);
    }
}

#[test]
fn the_client_presents_its_certificate_whatever_the_server_hints() {
    let [us, agreed, _] = three();
    let ours = pinning(&us, &agreed.peer_certificate());
    for version in VERSIONS {
        let mut foreign = OtherPeer::with(&agreed, version);
        foreign.hints = vec![DistinguishedName::from(b"\x30\x00".to_vec())];
        handshake(ours.client_config(), foreign.server(), localhost()).assert_connected();
    }
}

/// A client without a certificate that records the hints of the server.
#[derive(Debug, Default)]
struct Listener {
    asked: AtomicUsize,
    hints: AtomicUsize,
}

impl ResolvesClientCert for Listener {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.hints.fetch_add(hints.len(), Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn the_server_always_requires_a_certificate_and_sends_no_hints() {
    let [us, agreed, _] = three();
    let ours = pinning(&us, &agreed.peer_certificate());
    for version in VERSIONS {
        let listener = Arc::new(Listener::default());
        let mut client = ClientConfig::clone(&OtherPeer::anonymous(version).client());
        client.client_auth_cert_resolver = listener.clone();
        let outcome = handshake(Arc::new(client), ours.server_config(), localhost());
        outcome_of_refused_client(&outcome, Error::NoCertificatesPresented);
        assert_eq!(listener.asked.load(Ordering::Relaxed), 1);
        assert_eq!(listener.hints.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn debug_shows_fingerprints_and_no_settings() {
    let [us, agreed, _] = three();
    let shown = format!("{:?}", pinning(&us, &agreed.peer_certificate()));
    assert!(shown.contains(&us.peer_certificate().to_string()), "{shown}");
    assert!(shown.contains(&agreed.peer_certificate().to_string()), "{shown}");
    assert!(shown.len() < 300, "{shown}");
}

fn three() -> [Identity; 3] {
    [(); 3].map(|()| Identity::generate().unwrap())
}

/// In TLS 1.3 a refused client has finished its handshake before it receives the alert.
#[track_caller]
fn outcome_of_refused_client(outcome: &crate::parties::Outcome, expected: impl Into<Error>) {
    outcome.assert_server_refuses(expected);
    assert!(matches!(outcome.client, Err(Error::AlertReceived(_))), "{outcome:?}");
}

#[test]
fn a_p521_certificate_needs_its_own_scheme() {
    // The premise of the P-521 verifier: a Go peer fails without it.
    let us = Identity::generate().unwrap();
    let go = PeerCertificate::from_pem(&data("go-plugin-p521.cert.pem")).unwrap();
    let foreign = OtherPeer::go_plugin(SignatureScheme::ED448, VERSIONS[1]);
    let outcome = handshake(pinning(&us, &go).client_config(), foreign.server(), localhost());
    assert_eq!(outcome.server, Err(Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon)));
}
