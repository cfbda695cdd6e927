//! The handshake, and what a host needs to attach. What is read and printed is read as the same, and each error has a code.

use std::{ffi::OsString, fmt::Display, os::unix::ffi::OsStringExt as _};

use rpcplugin_client::Handover;
use rpcplugin_handshake::{HandshakeLine, LaneOffer, ReattachConfig, ReattachConfigs, ReceivedEnv, variable};
use rpcplugin_mtls::{Identity, MutualTls, PeerCertificate, RootCertificates, Trust};

use crate::input::{Input, check_error, text};

/// A handshake line, and its certificate.
pub(crate) fn handshake_line(bytes: &[u8]) {
    let text = text(bytes);
    match HandshakeLine::parse(&text) {
        Ok(line) => {
            let printed = line.to_string();
            assert!(!printed.contains('\n'), "a line: {printed:?}");
            assert_eq!(HandshakeLine::parse(&printed).as_ref(), Ok(&line), "{printed:?}");
        }
        Err(error) => check_error(&error),
    }
}

/// The variables of the handshake in turn, one on each line.
pub(crate) fn handshake_variables(bytes: &[u8]) {
    let values: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    let lookup = |name: &str| {
        let at = variable::ALL.iter().position(|known| *known == name)?;
        values.get(at).map(|value| OsString::from_vec(value.to_vec()))
    };
    let received = ReceivedEnv::from_env(lookup);
    for fault in &received.faults {
        assert!(variable::ALL.contains(&fault.variable), "{fault:?}");
        assert!(fault.value.chars().count() <= 80, "{fault:?}");
        drop(fault.to_string());
    }
    // Without its certificate the plugin would serve in plain text.
    let certificate = lookup(variable::CLIENT_CERT).is_some_and(|value| !value.is_empty());
    assert_eq!(received.client_certificate.is_some(), certificate);
    if let Some(offer) = values.last().and_then(|value| LaneOffer::parse(&text(value))) {
        assert_eq!(LaneOffer::parse(&offer.to_string()), Some(offer));
    }
}

/// `d` and DER; `p`, `r` or `i` and PEM of a peer, of roots, or of an identity with its key.
pub(crate) fn certificates(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.byte();
    let (bytes, pem) = (input.rest(), text(input.rest()));
    if pem.trim_start().starts_with("file:") {
        // It would read a file of this machine.
        return;
    }
    match kind {
        b'd' => match PeerCertificate::from_der(bytes) {
            Ok(certificate) => check_certificate(&certificate),
            Err(error) => check_error(&error),
        },
        b'p' => match PeerCertificate::from_pem(&pem) {
            Ok(certificate) => check_certificate(&certificate),
            Err(error) => check_error(&error),
        },
        b'r' => match RootCertificates::from_pem(&pem) {
            Ok(roots) => drop(format!("{roots:?} {}", roots.out_of_date().count())),
            Err(error) => check_error(&error),
        },
        _ => match Identity::from_pem(&pem, &pem) {
            Ok(identity) => {
                let certificate = identity.peer_certificate();
                check_certificate(&certificate);
                let exported = identity.export();
                let again = Identity::from_pem(exported.certificates_pem(), exported.private_key_pem());
                let again = again.expect("an identity that is exported can be read");
                assert_eq!(again.peer_certificate(), certificate);
                drop(
                    MutualTls::new(identity, Trust::Pinned(certificate)).map_err(|error| check_error(&error)),
                );
            }
            Err(error) => check_error(&error),
        },
    }
}

fn check_certificate(certificate: &PeerCertificate) {
    let again =
        PeerCertificate::from_pem(&certificate.pem()).expect("a certificate that is written can be read");
    assert_eq!(&again, certificate);
    assert_eq!(PeerCertificate::from_der(certificate.der()).ok().as_ref(), Some(certificate));
    assert_eq!(certificate.fingerprint().len(), 64);
}

/// Reattach configurations of one and of several plugins, and a handover.
pub(crate) fn handover(bytes: &[u8]) {
    let json = text(bytes);
    check_json(&json, ReattachConfig::parse);
    check_json(&json, ReattachConfigs::parse);
    if json.contains("file:") {
        // A certificate could be that of a file.
        return;
    }
    if let Err(error) = Handover::parse(&json) {
        check_error(&error);
    }
}

/// Reads a text, and the text that is written for its value.
fn check_json<T: Display, E: miette::Diagnostic>(json: &str, parse: impl Fn(&str) -> Result<T, E>) {
    match parse(json) {
        Ok(value) => {
            let written = value.to_string();
            let again = parse(&written).map(|value| value.to_string());
            assert_eq!(again.ok().as_ref(), Some(&written));
        }
        Err(error) => check_error(&error),
    }
}
