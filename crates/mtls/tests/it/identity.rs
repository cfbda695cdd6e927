//! Identities that are generated, loaded and exported.

use std::fmt::Debug;

use miette::Diagnostic;
use rpcplugin_mtls::{Identity, IdentityError, KeyAlgorithm, PeerCertificate, PeerCertificateError};

use crate::parties::{data, data_path, handshake, localhost, pinning};

#[test]
fn generated_identities_differ() {
    let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    assert_ne!(one.peer_certificate(), other.peer_certificate());
    assert_ne!(one.export().private_key_pem(), other.export().private_key_pem());
}

#[test]
fn the_certificate_is_one_block_and_is_parsed_back() {
    let identity = Identity::generate().unwrap();
    let pem = identity.certificate_pem();
    assert!(
        pem.starts_with("-----BEGIN CERTIFICATE-----\n") && pem.ends_with("\n-----END CERTIFICATE-----\n")
    );
    assert_eq!(pem.matches("BEGIN").count(), 1);
    assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
    let read = PeerCertificate::from_pem(&pem).unwrap();
    assert_eq!(read.der(), identity.certificate_der());
    assert_eq!(read, PeerCertificate::from_der(identity.certificate_der()).unwrap());
    assert_eq!(read.pem(), pem);
}

#[test]
fn p521_identities_need_the_provider_that_can_make_them() {
    let made = Identity::generate_with(KeyAlgorithm::P521);
    if cfg!(feature = "aws-lc-rs") {
        made.unwrap();
    } else {
        assert!(matches!(made, Err(IdentityError::AlgorithmUnavailable { algorithm: KeyAlgorithm::P521 })));
        assert_eq!(code(made), "rpcplugin::security::identity_algorithm_unavailable");
    }
}

#[test]
fn an_exported_identity_works_in_another_process() {
    let peer = Identity::generate().unwrap();
    for original in [
        Identity::generate().unwrap(),
        Identity::generate_with(KeyAlgorithm::Ed25519).unwrap(),
        Identity::from_pem(&data("rsa2048.cert.pem"), &data("rsa2048.pkcs1.pem")).unwrap(),
        Identity::from_pem(&data("p384.cert.pem"), &data("p384.sec1.pem")).unwrap(),
        Identity::from_pem(&data("go-plugin-p521.cert.pem"), &data("go-plugin-p521.sec1.pem")).unwrap(),
    ] {
        let exported = original.export();
        let heir = Identity::from_pem(exported.certificates_pem(), exported.private_key_pem()).unwrap();
        assert_eq!(heir.peer_certificate(), original.peer_certificate());
        let ours = pinning(&peer, &original.peer_certificate());
        let theirs = pinning(&heir, &peer.peer_certificate());
        handshake(theirs.client_config(), ours.server_config(), localhost()).assert_connected();
    }
}

#[test]
fn an_export_has_the_text_of_the_identity() {
    let identity = Identity::from_pem(&data("rsa2048.cert.pem"), &data("rsa2048.pkcs1.pem")).unwrap();
    let exported = identity.export();
    assert_eq!(exported.certificates_pem(), data("rsa2048.cert.pem"));
    assert_eq!(exported.private_key_pem(), data("rsa2048.pkcs1.pem"));
}

#[test]
fn debug_shows_no_key() {
    let identity = Identity::generate().unwrap();
    let exported = identity.export();
    let secret = exported.private_key_pem().lines().nth(1).unwrap();
    let shown = format!("{identity:?} {exported:?}");
    assert!(!shown.contains(secret) && shown.contains("[secret]"), "{shown}");
    assert!(shown.contains(&identity.peer_certificate().to_string()), "{shown}");
}

#[test]
fn files_and_inline_text_load_alike() {
    let file = |name: &str| format!("file://{}", data_path(name).display());
    let inline = Identity::from_pem(&data("p256.cert.pem"), &data("p256.sec1.pem")).unwrap();
    let mixed = Identity::from_pem(&file("p256.cert.pem"), &data("p256.pkcs8.pem")).unwrap();
    let files =
        Identity::from_pem(&format!(" {}\n", file("p256.cert.pem")), &file("p256.pkcs8.pem")).unwrap();
    assert_eq!(inline.peer_certificate(), mixed.peer_certificate());
    assert_eq!(inline.peer_certificate(), files.peer_certificate());
}

#[test]
fn one_text_may_have_certificate_and_key() {
    let both = format!("{}{}", data("p256.pkcs8.pem"), data("p256.cert.pem"));
    Identity::from_pem(&both, &both).unwrap();
    let crlf = both.replace('\n', "\r\n");
    Identity::from_pem(&crlf, &crlf).unwrap();
}

#[test]
fn a_fingerprint_is_the_digest_of_the_certificate() {
    // From `openssl x509 -fingerprint -sha256`.
    let peer = PeerCertificate::from_pem(&data("rsa2048.cert.pem")).unwrap();
    let expected = "d8d5d769a5aba5d50eede718fa12f01d48f986daede963cab2b1a0cefcd96a2f";
    assert_eq!(peer.fingerprint(), expected);
    assert_eq!(peer.to_string(), format!("sha256:{}", &expected[..16]));
    assert_eq!(format!("{peer:?}"), format!("PeerCertificate({peer})"));
}

#[test]
fn a_peer_certificate_is_never_read_from_a_file() {
    let text = format!("file://{}", data_path("p256.cert.pem").display());
    let read = PeerCertificate::from_pem(&text);
    assert!(matches!(read, Err(PeerCertificateError::NotPem { .. })));
    assert_eq!(code(read), "rpcplugin::security::peer_not_pem");
}

#[test]
fn the_first_of_several_peer_certificates_is_used() {
    let damaged = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let text = format!("comment\n{}{}{damaged}", data("p256.cert.pem"), data("p384.cert.pem"));
    let first = PeerCertificate::from_pem(&text).unwrap();
    assert_eq!(first, PeerCertificate::from_pem(&data("p256.cert.pem")).unwrap());
}

#[test]
fn bytes_that_are_not_a_certificate_are_refused() {
    let mut trailing = Identity::generate().unwrap().certificate_der().to_vec();
    trailing.push(0);
    for der in [Vec::new(), b"rubbish".to_vec(), trailing] {
        let read = PeerCertificate::from_der(der);
        assert!(matches!(read, Err(PeerCertificateError::NotX509 { .. })));
        assert_eq!(code(read), "rpcplugin::security::peer_not_x509");
    }
}

fn code<T: Debug, E: Diagnostic>(result: Result<T, E>) -> String {
    result.unwrap_err().code().unwrap().to_string()
}
