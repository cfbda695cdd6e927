//! Whether, and by what, the plugin authenticates its host.

use std::path::Path;

use rpcplugin_config::PluginConfig;
use rpcplugin_handshake::ReceivedEnv;
use rpcplugin_mtls::{Identity, MutualTls, PeerCertificate, RootCertificates, Trust};
use rpcplugin_transport::Security;

use crate::error::ServeError;

/// How the plugin's connections are secured, and the certificate to announce.
pub(crate) struct Decision {
    pub(crate) security: Security,
    pub(crate) announced: Option<Vec<u8>>,
}

/// Decides by what was configured and what the host asks for.
///
/// | given certificate | given authorities | host's certificate | result |
/// |---|---|---|---|
/// | no | no | no | plain |
/// | no | no | yes | a one-time identity, and that one host |
/// | no | yes | no | refused: the host could prove nothing |
/// | no | yes | yes | a one-time identity, and hosts that the authorities signed |
/// | yes | no | either | refused: the plugin could verify nobody |
/// | yes | yes | no | the given identity, and hosts that the authorities signed |
/// | yes | yes | yes | the same; the certificate is announced, for hosts that learn it only so |
pub(crate) fn decide(config: &PluginConfig, offer: &ReceivedEnv) -> Result<Decision, ServeError> {
    let host = offer.client_certificate.as_deref();
    let (identity, trust) = match (given_identity(config)?, given_authorities(config)?, host) {
        (None, None, None) => return Ok(Decision { security: Security::Plain, announced: None }),
        (None, _, Some(_)) if !config.auto_mtls => return Err(ServeError::MtlsRefused),
        (None, None, Some(host)) => (one_time()?, Trust::Pinned(PeerCertificate::from_pem(host)?)),
        (None, Some(_), None) => return Err(ServeError::UnprovenHost),
        (None, Some(authorities), Some(host)) => {
            // Whether they signed it is seen in each handshake, which brings the certificates in between along.
            PeerCertificate::from_pem(host)?;
            (one_time()?, Trust::Roots(authorities))
        }
        (Some(_), None, _) => return Err(ServeError::OneSidedTls),
        (Some(identity), Some(authorities), _) => (identity, Trust::Roots(authorities)),
    };
    // Without a certificate in the environment the field stays empty: a Go host that did not ask for one would crash.
    let announced = host.map(|_| identity.certificate_der().to_vec());
    Ok(Decision { security: Security::Mutual(MutualTls::new(identity, trust)?), announced })
}

fn one_time() -> Result<Identity, ServeError> {
    Identity::generate().map_err(ServeError::Identity)
}

fn given_identity(config: &PluginConfig) -> Result<Option<Identity>, ServeError> {
    // The configuration has been checked: a certificate has its key.
    let (Some(certificate), Some(key)) = (&config.certificate, &config.private_key) else { return Ok(None) };
    let identity = Identity::from_pem(certificate.as_str(), key.as_str());
    identity.map(Some).map_err(|source| ServeError::GivenIdentity {
        given: format!(
            "the certificate in {} with the key in {}",
            place(certificate.file(), "PLUGIN_SERVER_CERT"),
            place(key.file(), "PLUGIN_SERVER_KEY")
        ),
        source,
    })
}

fn given_authorities(config: &PluginConfig) -> Result<Option<RootCertificates>, ServeError> {
    let Some(bundle) = &config.client_roots else { return Ok(None) };
    let place = place(bundle.file(), "PLUGIN_CLIENT_ROOT_CERTS");
    let authorities = match RootCertificates::from_pem(bundle.as_str()) {
        Ok(authorities) => authorities,
        Err(source) => return Err(ServeError::GivenAuthorities { authorities: place, source }),
    };
    for (number, why) in authorities.out_of_date() {
        tracing::warn!(
            number,
            authorities = place,
            "a certificate of the authorities {why} and vouches for nobody"
        );
    }
    Ok(Some(authorities))
}

/// Where PEM text was found: its file, or the setting that holds it.
fn place(file: Option<&Path>, setting: &str) -> String {
    file.map_or_else(|| setting.to_owned(), |file| file.display().to_string())
}
