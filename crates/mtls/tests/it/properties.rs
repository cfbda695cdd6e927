//! No input makes the parsers panic.

use proptest::prelude::*;
use rpcplugin_mtls::{Identity, PeerCertificate, RootCertificates};

use crate::parties::data;

/// Parses `text` in every way.
fn read_everywhere(text: &str) {
    // A property test must not depend on existing files.
    if text.trim().starts_with("file://") {
        return;
    }
    drop(PeerCertificate::from_pem(text));
    drop(RootCertificates::from_pem(text));
    drop(Identity::from_pem(text, text));
    drop(Identity::from_pem(&data("p256.cert.pem"), text));
    drop(Identity::from_pem(text, &data("p256.pkcs8.pem")));
}

/// Text that looks like PEM, with any label and body.
fn pem_like() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        Just("CERTIFICATE".to_owned()),
        Just("PRIVATE KEY".to_owned()),
        Just("EC PRIVATE KEY".to_owned()),
        Just("RSA PRIVATE KEY".to_owned()),
        Just("ENCRYPTED PRIVATE KEY".to_owned()),
        "[A-Z ]{0,20}",
    ];
    let block = (label, "[A-Za-z0-9+/=\n:, -]{0,200}")
        .prop_map(|(label, body)| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"));
    proptest::collection::vec(block, 0..4).prop_map(|blocks| blocks.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn arbitrary_text(text in r"(\PC|\p{C}){0,40}") {
        read_everywhere(&text);
    }

    #[test]
    fn arbitrary_blocks(text in pem_like()) {
        read_everywhere(&text);
    }

    #[test]
    fn arbitrary_bytes(der in any::<Vec<u8>>()) {
        drop(PeerCertificate::from_der(der));
    }

    /// A certificate or key with one byte of its encoding changed.
    #[test]
    fn one_byte_changed(
        name in prop_oneof![Just("p256.cert.pem"), Just("go-plugin-p521.cert.pem"), Just("p256.sec1.pem"),
            Just("rsa2048.pkcs1.pem"), Just("ed25519.pkcs8.pem")],
        at in any::<proptest::sample::Index>(),
        change in 1_u8..,
    ) {
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;

        let text = data(name);
        let lines: Vec<_> = text.lines().collect();
        let (first, last) = (lines[0], lines[lines.len() - 1]);
        let mut der = STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
        let at = at.index(der.len());
        der[at] ^= change;
        read_everywhere(&format!("{first}\n{}\n{last}\n", STANDARD.encode(der)));
    }

    /// A parsed certificate keeps its bytes.
    #[test]
    fn certificates_survive_the_round_trip(at in any::<proptest::sample::Index>(), change in any::<u8>()) {
        let mut der = PeerCertificate::from_pem(&data("go-plugin-p521.cert.pem")).unwrap().der().to_vec();
        let at = at.index(der.len());
        der[at] ^= change;
        if let Ok(certificate) = PeerCertificate::from_der(der.clone()) {
            prop_assert_eq!(certificate.der(), der.as_slice());
            prop_assert_eq!(PeerCertificate::from_pem(&certificate.pem()).unwrap(), certificate);
        }
    }
}
