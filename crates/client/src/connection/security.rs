//! The security of the connection with a plugin. It is decided here and nowhere else.

use rpcplugin_config::{HostConfig, HostTls, Pem};
use rpcplugin_mtls::{Identity, MutualTls, PeerCertificate, RootCertificates, TlsError, Trust};
use rpcplugin_transport::Security;

use crate::error::SecurityFault;

/// The host's part of the security, before the handshake line.
pub(crate) struct HostSecurity {
    side: Side,
    /// The name in the plugin's certificate, if it is not `localhost`.
    server_name: Option<String>,
}

enum Side {
    Plaintext,
    Tls {
        /// The host's identity.
        identity: Identity,
        /// The roots by which the plugin is verified. Without roots, the certificate in the handshake line is pinned.
        roots: Option<RootCertificates>,
        /// Whether the user has given the identity. Otherwise it was made for this launch.
        given: bool,
        /// Whether the host's certificate is in the plugin's environment. The plugin then has to send its own.
        offered: bool,
    },
}

/// The security of a connection without a handshake: mutual TLS with a certificate, a key and roots, plain text
/// without them.
pub(crate) fn given(config: &HostConfig) -> Result<Security, SecurityFault> {
    match &config.tls {
        HostTls::Given { server_roots: Some(_), .. } => HostSecurity::prepare(config)?.decide(None, false),
        HostTls::Plaintext | HostTls::AutoMtls { server_roots: None } => Ok(Security::Plain),
        HostTls::Given { server_roots: None, .. } | HostTls::AutoMtls { server_roots: Some(_) } => {
            Err(SecurityFault::IncompleteTls)
        }
    }
}

/// The same security with another name than `localhost` in the plugin's certificate.
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
                Side::Tls { identity: Identity::generate()?, roots, given: false, offered: true }
            }
            HostTls::Given { certificate, private_key, server_roots } => {
                let roots = roots(server_roots.as_ref())?;
                let identity = Identity::from_pem(certificate.as_str(), private_key.as_str())?;
                // Without roots the plugin has to send its certificate, and plugins do so only if the host sends its own.
                let offered = roots.is_none();
                Side::Tls { identity, roots, given: true, offered }
            }
            HostTls::Plaintext => Side::Plaintext,
        };
        Ok(Self { side, server_name: config.server_name.clone() })
    }

    /// The certificate for the plugin's environment, in PEM.
    pub(crate) fn certificate_for_plugin(&self) -> Option<String> {
        match &self.side {
            Side::Tls { identity, offered: true, .. } => Some(identity.certificate_pem()),
            Side::Tls { .. } | Side::Plaintext => None,
        }
    }

    /// Whether a connection that only this host and the plugin have may stand in for TLS: neither side has been given an identity
    /// or roots, by which the peer is to be known.
    pub(crate) fn needs_no_identity(&self) -> bool {
        match &self.side {
            Side::Plaintext => true,
            Side::Tls { given, roots, .. } => !given && roots.is_none(),
        }
    }

    /// Decides the security of every connection with this plugin.
    ///
    /// | certificate in the environment | certificate in the handshake line | result |
    /// |---|---|---|
    /// | no | no | plain text |
    /// | yes | yes | mutual TLS, with this certificate pinned |
    /// | yes | no | refused: `plugin_ignored_mtls` |
    /// | no | yes | refused: `unexpected_certificate` |
    ///
    /// With roots, the plugin is verified by the roots instead. A connection that the plugin has `inherited` has no TLS, and no
    /// certificate in the handshake line: it is offered only where it may stand in for TLS.
    pub(crate) fn decide(
        self,
        certificate: Option<&[u8]>,
        inherited: bool,
    ) -> Result<Security, SecurityFault> {
        if inherited {
            return match certificate {
                Some(_) => Err(SecurityFault::UnexpectedCertificate),
                None => Ok(Security::Plain),
            };
        }
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
        tracing::warn!(number, "a certificate of server_roots {why} and is not used");
    }
    Ok(roots)
}
