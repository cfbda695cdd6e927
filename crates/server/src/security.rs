//! Whether, and by what, the plugin authenticates its host.

use std::path::Path;

use rpcplugin_config::PluginConfig;
use rpcplugin_handshake::ReceivedOffer;
use rpcplugin_mtls::{Authorities, Identity, MutualTls, PeerCertificate, Trust};
use rpcplugin_transport::Security;

use crate::error::ServeError;

/// How the plugin's connections are secured, and the certificate to announce.
pub(crate) struct Decision {
    pub(crate) security: Security,
    pub(crate) announced: Option<Vec<u8>>,
}

/// Decides by what was configured and what the host asks for.
///
/// | given certificates | host's certificate | result |
/// |---|---|---|
/// | no | no | plain |
/// | no | yes | a one-time identity, and that one host |
/// | yes | no | the given identity, and hosts that the given authorities signed |
/// | yes | yes | the same; the certificate is announced, for hosts that learn it only so |
pub(crate) fn decide(config: &PluginConfig, offer: &ReceivedOffer) -> Result<Decision, ServeError> {
    let host = offer.client_certificate.as_deref();
    let given = match (&config.certificate, &config.private_key) {
        (Some(certificate), Some(key)) => {
            let identity = Identity::from_pem(certificate.as_str(), key.as_str());
            Some(identity.map_err(|source| ServeError::GivenIdentity {
                given: format!(
                    "the certificate in {} with the key in {}",
                    place(certificate.file(), "PLUGIN_SERVER_CERT"),
                    place(key.file(), "PLUGIN_SERVER_KEY")
                ),
                source,
            })?)
        }
        _ => None,
    };
    match (given, host) {
        (None, None) => Ok(Decision { security: Security::Plain, announced: None }),
        (None, Some(_)) if !config.auto_mtls => Err(ServeError::MtlsRefused),
        (None, Some(host)) => {
            let host = PeerCertificate::from_pem(host)?;
            let identity = Identity::generate().map_err(ServeError::Identity)?;
            let announced = Some(identity.certificate_der().to_vec());
            let tls = MutualTls::new(identity, Trust::Pinned(host))?;
            Ok(Decision { security: Security::Mutual(tls), announced })
        }
        (Some(identity), host) => {
            let authorities = config.client_authorities.as_ref().ok_or(ServeError::OneSidedTls)?;
            let authorities = Authorities::from_pem(authorities.as_str()).map_err(|source| {
                let authorities = place(authorities.file(), "PLUGIN_CLIENT_ROOT_CERTS");
                ServeError::GivenAuthorities { authorities, source }
            })?;
            // Without a certificate in the environment the field stays empty: a Go host that did not ask for one
            // would crash.
            let announced = host.map(|_| identity.certificate_der().to_vec());
            let tls = MutualTls::new(identity, Trust::Authorities(authorities))?;
            Ok(Decision { security: Security::Mutual(tls), announced })
        }
    }
}

/// Where PEM text was found: its file, or the setting that holds it.
fn place(file: Option<&Path>, setting: &str) -> String {
    file.map_or_else(|| setting.to_owned(), |file| file.display().to_string())
}
