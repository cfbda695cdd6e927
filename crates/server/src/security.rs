//! How the plugin's connections are secured.

use std::path::Path;

use rpcplugin_config::{Pem, PluginConfig, PluginTls, SecretPem};
use rpcplugin_handshake::ReceivedEnv;
use rpcplugin_mtls::{Identity, MutualTls, PeerCertificate, RootCertificates, Trust};
use rpcplugin_transport::Security;

use crate::error::ServeError;

/// How the plugin's connections are secured, and the certificate in the handshake line.
pub(crate) struct Decision {
    pub(crate) security: Security,
    pub(crate) certificate: Option<Vec<u8>>,
}

/// Whether a connection that only this process and its host have may stand in for TLS: no identity and no roots are configured, by
/// which the host is to be known, and no certificate of the host is to be refused.
pub(crate) fn needs_no_identity(config: &PluginConfig, env: &ReceivedEnv) -> bool {
    match &config.tls {
        PluginTls::AutoMtls { client_roots } => client_roots.is_none(),
        PluginTls::Plaintext => env.client_certificate.is_none(),
        PluginTls::Given { .. } => false,
    }
}

/// Decides by the configured mode and by the host's certificate, if there is one in the environment.
///
/// | mode | roots | host's certificate | result |
/// |---|---|---|---|
/// | plaintext | – | no | plain |
/// | plaintext | – | yes | refused: the host requests mutual TLS |
/// | AutoMTLS | no | no | plain |
/// | AutoMTLS | no | yes | an ephemeral identity, and exactly the host's certificate |
/// | AutoMTLS | yes | no | refused: the plugin cannot verify the host |
/// | AutoMTLS | yes | yes | an ephemeral identity, and hosts whose certificates the roots issued |
/// | given | yes | no | the given identity, and hosts whose certificates the roots issued |
/// | given | yes | yes | the same; the handshake line has the certificate, for hosts that verify exactly that one |
pub(crate) fn decide(config: &PluginConfig, env: &ReceivedEnv) -> Result<Decision, ServeError> {
    let host = env.client_certificate.as_deref();
    let (identity, trust) = match (&config.tls, host) {
        (PluginTls::AutoMtls { client_roots: None }, Some(host)) => {
            (ephemeral_identity()?, Trust::Pinned(PeerCertificate::from_pem(host)?))
        }
        (PluginTls::AutoMtls { client_roots: Some(bundle) }, host) => {
            let roots = given_roots(bundle)?;
            // Each TLS handshake verifies that the roots issued it: the intermediate certificates are sent only there.
            PeerCertificate::from_pem(host.ok_or(ServeError::HostWithoutCertificate)?)?;
            (ephemeral_identity()?, Trust::Roots(roots))
        }
        (PluginTls::Given { certificate, private_key, client_roots }, _) => {
            let identity = given_identity(certificate, private_key)?;
            (identity, Trust::Roots(given_roots(client_roots)?))
        }
        (PluginTls::Plaintext | PluginTls::AutoMtls { client_roots: None }, None) => {
            return Ok(Decision { security: Security::Plain, certificate: None });
        }
        (PluginTls::Plaintext, Some(_)) => return Err(ServeError::MtlsRefused),
    };
    // A Go host that has put no certificate into the environment crashes if the handshake line has one.
    let certificate = host.map(|_| identity.certificate_der().to_vec());
    Ok(Decision { security: Security::Mutual(MutualTls::new(identity, trust)?), certificate })
}

fn ephemeral_identity() -> Result<Identity, ServeError> {
    Identity::generate().map_err(ServeError::EphemeralIdentity)
}

fn given_identity(certificate: &Pem, key: &SecretPem) -> Result<Identity, ServeError> {
    Identity::from_pem(certificate.as_str(), key.as_str()).map_err(|source| ServeError::ServerCertificate {
        given: format!(
            "the certificate in {} with the key in {}",
            source_of(certificate.file(), "PLUGIN_SERVER_CERT"),
            source_of(key.file(), "PLUGIN_SERVER_KEY")
        ),
        source,
    })
}

fn given_roots(bundle: &Pem) -> Result<RootCertificates, ServeError> {
    let file = source_of(bundle.file(), "PLUGIN_CLIENT_ROOT_CERTS");
    let roots = match RootCertificates::from_pem(bundle.as_str()) {
        Ok(roots) => roots,
        Err(source) => return Err(ServeError::ClientRoots { roots: file, source }),
    };
    for (number, why) in roots.out_of_date() {
        tracing::warn!(number, roots = file, "a certificate among the roots {why}, and is not used");
    }
    Ok(roots)
}

/// Returns the source of PEM text: its file, or the setting that holds it.
fn source_of(file: Option<&Path>, setting: &str) -> String {
    file.map_or_else(|| setting.to_owned(), |file| file.display().to_string())
}
