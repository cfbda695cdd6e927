//! How the connection with a plugin is secured: the one place where that is decided.

use rpcplugin_config::{HostConfig, HostTls, Pem};
use rpcplugin_mtls::{Identity, MutualTls, PeerCertificate, RootCertificates, TlsError, Trust};
use rpcplugin_transport::Security;

use crate::error::SecurityFault;

/// How the connection is to be secured, as far as the host can know before the plugin has answered.
pub(crate) struct HostSecurity {
    side: Side,
    /// The name that is dialled, if not `localhost`.
    server_name: Option<String>,
}

enum Side {
    Plaintext,
    Tls {
        /// The identity that this side presents.
        identity: Identity,
        /// By what plugins are verified, if not by the certificate in their answer.
        roots: Option<RootCertificates>,
        /// Whether the certificate is offered, so that a plugin has to answer with its own.
        offered: bool,
    },
}

/// The security that the configuration gives without a handshake: mutual with all of certificate, key and authorities,
/// plain with none of them.
pub(crate) fn given(config: &HostConfig) -> Result<Security, SecurityFault> {
    match &config.tls {
        HostTls::Given { server_roots: Some(_), .. } => HostSecurity::prepare(config)?.decide(None),
        HostTls::Plaintext | HostTls::AutoMtls { server_roots: None } => Ok(Security::Plain),
        HostTls::Given { server_roots: None, .. } | HostTls::AutoMtls { server_roots: Some(_) } => {
            Err(SecurityFault::IncompleteTls)
        }
    }
}

/// The same security, for dialling another name than `localhost`.
pub(crate) fn named(security: Security, server_name: Option<&str>) -> Result<Security, TlsError> {
    Ok(match (security, server_name) {
        (Security::Mutual(tls), Some(name)) => Security::Mutual(tls.with_server_name(name)?),
        (security, _) => security,
    })
}

impl HostSecurity {
    pub(crate) fn prepare(config: &HostConfig) -> Result<Self, SecurityFault> {
        let side = match &config.tls {
            HostTls::AutoMtls { server_roots } => {
                let roots = roots(server_roots.as_ref())?;
                Side::Tls { identity: Identity::generate()?, roots, offered: true }
            }
            HostTls::Given { certificate, private_key, server_roots } => {
                let roots = roots(server_roots.as_ref())?;
                let identity = Identity::from_pem(certificate.as_str(), private_key.as_str())?;
                // With roots both sides have what they need. Without, the plugin's certificate has to come in its
                // answer, and plugins send it only to hosts that offer theirs.
                let offered = roots.is_none();
                Side::Tls { identity, roots, offered }
            }
            HostTls::Plaintext => Side::Plaintext,
        };
        Ok(Self { side, server_name: config.server_name.clone() })
    }

    /// The certificate for the plugin's environment.
    pub(crate) fn certificate_for_plugin(&self) -> Option<String> {
        match &self.side {
            Side::Tls { identity, offered: true, .. } => Some(identity.certificate_pem()),
            Side::Tls { .. } | Side::Plaintext => None,
        }
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
    /// Given roots take the place of the certificate in the answer.
    pub(crate) fn decide(self, certificate: Option<&[u8]>) -> Result<Security, SecurityFault> {
        let mutual = |identity, trust| {
            let tls = Security::Mutual(MutualTls::new(identity, trust)?);
            Ok(named(tls, self.server_name.as_deref())?)
        };
        match (self.side, certificate) {
            (Side::Tls { identity, roots: Some(roots), .. }, _) => mutual(identity, Trust::Roots(roots)),
            (Side::Tls { identity, roots: None, .. }, Some(certificate)) => {
                mutual(identity, Trust::Pinned(PeerCertificate::from_der(certificate)?))
            }
            (Side::Tls { roots: None, .. }, None) => Err(SecurityFault::IgnoredMtls),
            (Side::Plaintext, Some(_)) => Err(SecurityFault::UnexpectedCertificate),
            (Side::Plaintext, None) => Ok(Security::Plain),
        }
    }
}

fn roots(bundle: Option<&Pem>) -> Result<Option<RootCertificates>, SecurityFault> {
    let roots = bundle.map(|bundle| RootCertificates::from_pem(bundle.as_str())).transpose()?;
    for (number, why) in roots.iter().flat_map(RootCertificates::out_of_date) {
        tracing::warn!(number, "a certificate of server_roots {why} and vouches for nobody");
    }
    Ok(roots)
}
