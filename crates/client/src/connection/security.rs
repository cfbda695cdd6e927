//! How the connection with a plugin is secured: the one place where that is decided.

use rpcplugin_config::HostConfig;
use rpcplugin_mtls::{Identity, MutualTls, PeerCertificate, RootCertificates, TlsError, Trust};
use rpcplugin_transport::Security;

use crate::error::LaunchFault;

/// How the connection is to be secured, as far as the host can know before the plugin has answered.
pub(crate) struct Secret {
    /// What this side presents.
    identity: Option<Identity>,
    /// By what plugins are verified, if not by the certificate in their answer.
    authorities: Option<RootCertificates>,
    /// The name that is dialled, if not `localhost`.
    server_name: Option<String>,
    /// Whether the certificate is offered, so that a plugin has to answer with its own.
    offered: bool,
}

/// The security that the configuration gives without a handshake: mutual with all of certificate, key and authorities,
/// plain with none of them.
pub(crate) fn given(config: &HostConfig) -> Result<Security, LaunchFault> {
    match (&config.certificate, &config.server_roots) {
        (Some(_), Some(_)) => Secret::prepare(config)?.decide(None),
        (None, None) => Ok(Security::Plain),
        (Some(_), None) | (None, Some(_)) => Err(LaunchFault::HalfGiven),
    }
}

/// The same security, for dialling another name than `localhost`.
pub(crate) fn named(security: Security, server_name: Option<&str>) -> Result<Security, TlsError> {
    Ok(match (security, server_name) {
        (Security::Mutual(tls), Some(name)) => Security::Mutual(tls.with_server_name(name)?),
        (security, _) => security,
    })
}

impl Secret {
    pub(crate) fn prepare(config: &HostConfig) -> Result<Self, LaunchFault> {
        let authorities = config
            .server_roots
            .as_ref()
            .map(|bundle| RootCertificates::from_pem(bundle.as_str()))
            .transpose()?;
        for (number, why) in authorities.iter().flat_map(RootCertificates::out_of_date) {
            tracing::warn!(number, "a certificate of server_roots {why} and vouches for nobody");
        }
        let server_name = config.server_name.clone();
        // The configuration has been checked: a certificate has its key.
        if let (Some(certificate), Some(key)) = (&config.certificate, &config.private_key) {
            let identity = Identity::from_pem(certificate.as_str(), key.as_str())?;
            // With authorities both sides have what they need. Without, the plugin's certificate has to come in its
            // answer, and plugins send it only to hosts that offer theirs.
            let offered = authorities.is_none();
            return Ok(Self { identity: Some(identity), authorities, server_name, offered });
        }
        let identity = if config.auto_mtls { Some(Identity::generate()?) } else { None };
        Ok(Self { identity, authorities, server_name, offered: config.auto_mtls })
    }

    /// The certificate for the plugin's environment.
    pub(crate) fn to_offer(&self) -> Option<String> {
        self.identity.as_ref().filter(|_| self.offered).map(Identity::certificate_pem)
    }

    /// The security of every connection with this plugin: the one place where that is decided.
    ///
    /// | offered | certificate in the answer | result |
    /// |---|---|---|
    /// | no | no | plain |
    /// | yes | yes | mutual, that certificate and no other |
    /// | yes | no | refused: the plugin ignored the offer |
    /// | no | yes | refused: nobody asked |
    ///
    /// Given authorities take the place of the certificate in the answer.
    pub(crate) fn decide(self, certificate: Option<&[u8]>) -> Result<Security, LaunchFault> {
        let mutual = |identity, trust| {
            let tls = Security::Mutual(MutualTls::new(identity, trust)?);
            Ok(named(tls, self.server_name.as_deref())?)
        };
        match (self.identity, self.authorities, certificate) {
            (Some(identity), Some(authorities), _) => mutual(identity, Trust::Roots(authorities)),
            (Some(identity), None, Some(certificate)) => {
                mutual(identity, Trust::Pinned(PeerCertificate::from_der(certificate)?))
            }
            (Some(_), None, None) => Err(LaunchFault::IgnoredMtls),
            (None, _, Some(_)) => Err(LaunchFault::UnaskedCertificate),
            // The configuration has been checked: authorities have an identity beside them.
            (None, Some(_), None) => Err(LaunchFault::HalfGiven),
            (None, None, None) => Ok(Security::Plain),
        }
    }
}
