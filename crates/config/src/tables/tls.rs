//! How connections are secured: the settings of it, and the one mode that they stand for.

use crate::{
    error::FaultKind,
    schema::{Contradiction, Joint, table},
    value::{Pem, SecretPem},
};

/// How a host secures the connections with its plugins.
///
/// The settings `auto_mtls`, `certificate`, `private_key` and `server_roots` stand for one of these modes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "code that decides on security names every mode")]
pub enum HostTls {
    /// No TLS. Every process of the same user can connect to the plugin.
    Plaintext,
    /// Mutual TLS with an ephemeral identity, made for each launch. A plugin that does not support it is refused.
    AutoMtls {
        /// The roots that must have issued the plugin's certificate. `None` trusts exactly the certificate in the
        /// plugin's handshake line.
        server_roots: Option<Pem>,
    },
    /// Mutual TLS with an identity from a certificate authority of the user's.
    Given {
        /// The host's certificate chain, leaf first.
        certificate: Pem,
        /// The private key of the leaf.
        private_key: SecretPem,
        /// The roots that must have issued the plugin's certificate. `None` trusts exactly the certificate in the
        /// plugin's handshake line.
        server_roots: Option<Pem>,
    },
}

/// How a plugin secures the connections with its host.
///
/// The settings `auto_mtls`, `certificate`, `private_key` and `client_roots` stand for one of these modes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "code that decides on security names every mode")]
pub enum PluginTls {
    /// No TLS. A host that asks for mutual TLS is refused.
    Plaintext,
    /// Mutual TLS with an ephemeral identity, if the host asks for it.
    AutoMtls {
        /// The roots that must have issued the host's certificate. `None` trusts exactly the certificate that the host
        /// put into the plugin's environment; a host without such a certificate is then served in plain text.
        client_roots: Option<Pem>,
    },
    /// Mutual TLS with an identity from a certificate authority of the user's.
    Given {
        /// The plugin's certificate chain, leaf first.
        certificate: Pem,
        /// The private key of the leaf.
        private_key: SecretPem,
        /// The roots that must have issued the host's certificate.
        client_roots: Pem,
    },
}

impl HostTls {
    /// AutoMTLS that trusts exactly the certificate in the plugin's handshake line. This is the default.
    pub const AUTO: Self = Self::AutoMtls { server_roots: None };
}

impl PluginTls {
    /// AutoMTLS that trusts exactly the certificate that the host put into the plugin's environment. This is the default.
    pub const AUTO: Self = Self::AutoMtls { client_roots: None };
}

table! {
    /// The settings of [`HostTls`].
    pub(crate) struct HostTlsSettings {
        /// Whether to ask for mutual TLS with one-time certificates. A plugin that then sends none is refused.
        /// Without it, and without a certificate, whatever runs as the same user can talk to the plugin.
        auto_mtls: bool = "true", env ["PLUGIN_AUTO_MTLS"], pyvider ["plugin_auto_mtls"];
        /// The certificate chain to show to plugins instead of a one-time one, leaf first. It needs `private_key`.
        certificate: Option<Pem> = "none",
            env ["PLUGIN_CLIENT_CERT", "PLUGIN_CLIENT_CERT_FILE"],
            pyvider ["plugin_client_cert", "plugin_client_cert_file"];
        /// The private key of `certificate`. It is not passed on to plugins.
        private_key: Option<SecretPem> = "none",
            env ["PLUGIN_CLIENT_KEY", "PLUGIN_CLIENT_KEY_FILE"],
            pyvider ["plugin_client_key", "plugin_client_key_file"];
        /// The authorities of which one must have issued a plugin's certificate. None trusts exactly the certificate
        /// in the plugin's answer.
        server_roots: Option<Pem> = "none",
            env ["PLUGIN_SERVER_ROOT_CERTS", "PLUGIN_CA_CERT"],
            pyvider ["plugin_server_root_certs", "plugin_ca_cert"];
    }
}

table! {
    /// The settings of [`PluginTls`].
    pub(crate) struct PluginTlsSettings {
        /// Whether to answer a host that asks for mutual TLS with a one-time certificate. Without it such a host is
        /// refused loudly, never served in plain text.
        auto_mtls: bool = "true", env ["PLUGIN_AUTO_MTLS"], pyvider ["plugin_auto_mtls"];
        /// The certificate chain to show to hosts instead of a one-time one, leaf first. It needs `private_key` and
        /// `client_roots`.
        certificate: Option<Pem> = "none", env ["PLUGIN_SERVER_CERT"], pyvider ["plugin_server_cert"];
        /// The private key of `certificate`.
        private_key: Option<SecretPem> = "none", env ["PLUGIN_SERVER_KEY"], pyvider ["plugin_server_key"];
        /// The authorities of which one must have issued a host's certificate. A host without such a certificate is
        /// refused, and nobody is served in plain text. It needs `certificate`, or `auto_mtls` and hosts that offer such
        /// a certificate when they start the plugin; one-time certificates are of no authority.
        client_roots: Option<Pem> = "none",
            env ["PLUGIN_CLIENT_ROOT_CERTS"], pyvider ["plugin_client_root_certs"];
    }
}

impl Joint for HostTls {
    type Settings = HostTlsSettings;

    fn join(settings: Self::Settings) -> Result<Self, Contradiction> {
        let HostTlsSettings { auto_mtls, certificate, private_key, server_roots } = settings;
        match given(certificate, private_key)? {
            Some((certificate, private_key)) => Ok(Self::Given { certificate, private_key, server_roots }),
            None if auto_mtls => Ok(Self::AutoMtls { server_roots }),
            None if server_roots.is_some() => Err(roots_without_tls("server_roots")),
            None => Ok(Self::Plaintext),
        }
    }

    fn split(&self) -> Self::Settings {
        let mut settings = HostTlsSettings::default();
        match self {
            Self::Plaintext => settings.auto_mtls = false,
            Self::AutoMtls { server_roots } => settings.server_roots.clone_from(server_roots),
            Self::Given { certificate, private_key, server_roots } => {
                settings.certificate = Some(certificate.clone());
                settings.private_key = Some(private_key.clone());
                settings.server_roots.clone_from(server_roots);
            }
        }
        settings
    }
}

impl Joint for PluginTls {
    type Settings = PluginTlsSettings;

    fn join(settings: Self::Settings) -> Result<Self, Contradiction> {
        let PluginTlsSettings { auto_mtls, certificate, private_key, client_roots } = settings;
        match (given(certificate, private_key)?, client_roots) {
            (Some((certificate, private_key)), Some(client_roots)) => {
                Ok(Self::Given { certificate, private_key, client_roots })
            }
            (Some(_), None) => {
                Err(Contradiction::new(&["certificate", "client_roots"], FaultKind::CertificateWithoutRoots))
            }
            (None, client_roots) if auto_mtls => Ok(Self::AutoMtls { client_roots }),
            (None, Some(_)) => Err(roots_without_tls("client_roots")),
            (None, None) => Ok(Self::Plaintext),
        }
    }

    fn split(&self) -> Self::Settings {
        let mut settings = PluginTlsSettings::default();
        match self {
            Self::Plaintext => settings.auto_mtls = false,
            Self::AutoMtls { client_roots } => settings.client_roots.clone_from(client_roots),
            Self::Given { certificate, private_key, client_roots } => {
                settings.certificate = Some(certificate.clone());
                settings.private_key = Some(private_key.clone());
                settings.client_roots = Some(client_roots.clone());
            }
        }
        settings
    }
}

/// The given identity, if there is one.
fn given(
    certificate: Option<Pem>,
    private_key: Option<SecretPem>,
) -> Result<Option<(Pem, SecretPem)>, Contradiction> {
    let (given, missing) = match (certificate, private_key) {
        (Some(certificate), Some(private_key)) => return Ok(Some((certificate, private_key))),
        (None, None) => return Ok(None),
        (Some(_), None) => ("certificate", "private_key"),
        (None, Some(_)) => ("private_key", "certificate"),
    };
    Err(Contradiction::new(&[given, missing], FaultKind::IncompleteIdentity { given, missing }))
}

fn roots_without_tls(setting: &'static str) -> Contradiction {
    Contradiction::new(&[setting, "certificate", "auto_mtls"], FaultKind::RootsWithoutTls { setting })
}
