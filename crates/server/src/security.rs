//! Whether, and by what, the plugin authenticates its host.

use std::path::Path;

use rpcplugin_config::{Pem, PluginConfig, PluginTls, SecretPem};
use rpcplugin_handshake::ReceivedEnv;
use rpcplugin_mtls::{Identity, MutualTls, PeerCertificate, RootCertificates, Trust};
use rpcplugin_transport::Security;

use crate::error::ServeError;

/// How the plugin's connections are secured, and the certificate to announce.
pub(crate) struct Decision {
    pub(crate) security: Security,
    pub(crate) announced: Option<Vec<u8>>,
}

/// Decides by the configured mode and by the host's certificate, if the host put one into the environment.
///
/// | mode | roots | host's certificate | result |
/// |---|---|---|---|
/// | plaintext | – | no | plain |
/// | plaintext | – | yes | refused: the host asks for mutual TLS |
/// | AutoMTLS | no | no | plain |
/// | AutoMTLS | no | yes | an ephemeral identity, and exactly the host's certificate |
/// | AutoMTLS | yes | no | refused: the host could prove nothing |
/// | AutoMTLS | yes | yes | an ephemeral identity, and hosts whose certificates the roots issued |
/// | given | yes | no | the given identity, and hosts whose certificates the roots issued |
/// | given | yes | yes | the same; the certificate is announced, for hosts that learn it only so |
pub(crate) fn decide(config: &PluginConfig, offer: &ReceivedEnv) -> Result<Decision, ServeError> {
    let host = offer.client_certificate.as_deref();
    let (identity, trust) = match (&config.tls, host) {
        (PluginTls::AutoMtls { client_roots: None }, Some(host)) => {
            (ephemeral()?, Trust::Pinned(PeerCertificate::from_pem(host)?))
        }
        (PluginTls::AutoMtls { client_roots: Some(bundle) }, host) => {
            let roots = given_roots(bundle)?;
            // Whether the roots issued it is seen in each handshake, which brings the certificates in between along.
            PeerCertificate::from_pem(host.ok_or(ServeError::UnprovenHost)?)?;
            (ephemeral()?, Trust::Roots(roots))
        }
        (PluginTls::Given { certificate, private_key, client_roots }, _) => {
            let identity = given_identity(certificate, private_key)?;
            (identity, Trust::Roots(given_roots(client_roots)?))
        }
        (PluginTls::Plaintext | PluginTls::AutoMtls { client_roots: None }, None) => {
            return Ok(Decision { security: Security::Plain, announced: None });
        }
        (PluginTls::Plaintext, Some(_)) => return Err(ServeError::MtlsRefused),
    };
    // Without a certificate in the environment the field stays empty: a Go host that did not ask for one would crash.
    let announced = host.map(|_| identity.certificate_der().to_vec());
    Ok(Decision { security: Security::Mutual(MutualTls::new(identity, trust)?), announced })
}

fn ephemeral() -> Result<Identity, ServeError> {
    Identity::generate().map_err(ServeError::Identity)
}

fn given_identity(certificate: &Pem, key: &SecretPem) -> Result<Identity, ServeError> {
    Identity::from_pem(certificate.as_str(), key.as_str()).map_err(|source| ServeError::GivenIdentity {
        given: format!(
            "the certificate in {} with the key in {}",
            place(certificate.file(), "PLUGIN_SERVER_CERT"),
            place(key.file(), "PLUGIN_SERVER_KEY")
        ),
        source,
    })
}

fn given_roots(bundle: &Pem) -> Result<RootCertificates, ServeError> {
    let place = place(bundle.file(), "PLUGIN_CLIENT_ROOT_CERTS");
    let roots = match RootCertificates::from_pem(bundle.as_str()) {
        Ok(roots) => roots,
        Err(source) => return Err(ServeError::GivenAuthorities { authorities: place, source }),
    };
    for (number, why) in roots.out_of_date() {
        tracing::warn!(
            number,
            authorities = place,
            "a certificate of the authorities {why} and vouches for nobody"
        );
    }
    Ok(roots)
}

/// Where PEM text was found: its file, or the setting that holds it.
fn place(file: Option<&Path>, setting: &str) -> String {
    file.map_or_else(|| setting.to_owned(), |file| file.display().to_string())
}
