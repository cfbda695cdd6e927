//! The form of ephemeral certificates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use time::OffsetDateTime;

use super::algorithm::KeyAlgorithm;
use super::error::IdentityError;

/// Generates a key and its certificate, which is valid at `now`.
pub(super) fn issue(
    algorithm: KeyAlgorithm,
    now: UnixTime,
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), IdentityError> {
    let key = KeyPair::generate_for(signature_algorithm(algorithm)?).map_err(generate)?;
    let certificate = parameters(now).map_err(generate)?.self_signed(&key).map_err(generate)?;
    Ok((certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
}

/// The certificate has names and usages for both roles, because brokered connections swap them. It is not an authority, because peers
/// built on BoringSSL and rustls refuse an authority as a leaf.
fn parameters(now: UnixTime) -> Result<CertificateParams, rcgen::Error> {
    let now = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "localhost");
    parameters.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_before = now - CLOCK_TOLERANCE;
    parameters.not_after = now + LIFE;
    Ok(parameters)
}

fn signature_algorithm(algorithm: KeyAlgorithm) -> Result<&'static SignatureAlgorithm, IdentityError> {
    match algorithm {
        KeyAlgorithm::P256 => Ok(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyAlgorithm::P384 => Ok(&rcgen::PKCS_ECDSA_P384_SHA384),
        #[cfg(feature = "aws-lc-rs")]
        KeyAlgorithm::P521 => Ok(&rcgen::PKCS_ECDSA_P521_SHA512),
        #[cfg(not(feature = "aws-lc-rs"))]
        KeyAlgorithm::P521 => Err(IdentityError::AlgorithmUnavailable { algorithm }),
        KeyAlgorithm::Ed25519 => Ok(&rcgen::PKCS_ED25519),
    }
}

fn generate(source: rcgen::Error) -> IdentityError {
    IdentityError::Generate { source: source.into() }
}

/// The clocks of machines and containers differ, often by more than the half minute of go-plugin.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// go-plugin's 262 980 hours, about thirty years: an ephemeral identity ends with its process and not by date.
const LIFE: Duration = Duration::from_secs(262_980 * 60 * 60);

#[cfg(test)]
mod tests {
    use miette::Diagnostic as _;

    use super::*;

    #[test]
    fn errors_of_a_broken_machine_have_codes() {
        let error = generate(rcgen::Error::RingUnspecified);
        assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::security::identity_generate");
    }
}
