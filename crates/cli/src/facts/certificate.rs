//! The contents of a certificate as text.

use rpcplugin::tls::PeerCertificate;
use serde::Serialize;
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _, public_key::PublicKey,
    time::ASN1Time, x509::SubjectPublicKeyInfo,
};

/// The contents of a certificate.
#[derive(Debug, Serialize)]
pub(crate) struct CertificateFacts {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) self_signed: bool,
    /// The algorithm of its key, such as `ECDSA P-256`.
    pub(crate) key: String,
    pub(crate) not_before: String,
    pub(crate) not_after: String,
    /// Whether the certificate is valid now.
    pub(crate) in_force: bool,
    /// The subject alternative names: DNS names and addresses.
    pub(crate) names: Vec<String>,
    pub(crate) sha256: String,
}

impl CertificateFacts {
    /// Reads a certificate. The fields of an unreadable certificate say so or are empty.
    pub(crate) fn of(certificate: &PeerCertificate) -> Self {
        let sha256 = certificate.fingerprint();
        let Ok((_, parsed)) = X509Certificate::from_der(certificate.der()) else {
            let unreadable = || "unreadable".to_owned();
            return Self {
                subject: unreadable(),
                issuer: unreadable(),
                self_signed: false,
                key: unreadable(),
                not_before: String::new(),
                not_after: String::new(),
                in_force: false,
                names: Vec::new(),
                sha256,
            };
        };
        Self {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            self_signed: parsed.subject() == parsed.issuer(),
            key: algorithm(parsed.public_key()),
            not_before: date(parsed.validity().not_before),
            not_after: date(parsed.validity().not_after),
            in_force: parsed.validity().is_valid(),
            names: names(&parsed),
            sha256,
        }
    }
}

fn algorithm(key: &SubjectPublicKeyInfo<'_>) -> String {
    match key.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            match curve.map(|oid| oid.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => "ECDSA P-256".to_owned(),
                Some("1.3.132.0.34") => "ECDSA P-384".to_owned(),
                Some("1.3.132.0.35") => "ECDSA P-521".to_owned(),
                Some(other) => format!("ECDSA on the curve {other}"),
                None => "ECDSA".to_owned(),
            }
        }
        _ => match key.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => "Ed25519".to_owned(),
            other => other.to_owned(),
        },
    }
}

fn date(time: ASN1Time) -> String {
    let utc = time.to_datetime();
    format!("{} {:02}:{:02}:{:02} UTC", utc.date(), utc.hour(), utc.minute(), utc.second())
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
    v4.or(v6).ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use rpcplugin::tls::{Identity, KeyAlgorithm};

    use super::*;

    #[test]
    fn reads_ephemeral_certificates() {
        let facts = CertificateFacts::of(&Identity::generate().unwrap().peer_certificate());
        assert_eq!(facts.key, "ECDSA P-256");
        assert_eq!(facts.names, ["localhost", "127.0.0.1", "::1"]);
        assert!(facts.in_force && facts.self_signed && facts.sha256.len() == 64, "{facts:?}");
        assert!(facts.not_after > facts.not_before);
        let other = Identity::generate_with(KeyAlgorithm::Ed25519).unwrap();
        assert_eq!(CertificateFacts::of(&other.peer_certificate()).key, "Ed25519");
    }
}
