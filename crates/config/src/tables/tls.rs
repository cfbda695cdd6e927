//! How connections are secured: the settings, and the one mode that they stand for.

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
    /// Mutual TLS with an ephemeral identity for each launch. A plugin that does not support AutoMTLS is refused.
    AutoMtls {
        /// The roots that must have issued the plugin's certificate. With `None` the host trusts exactly the certificate in the
        /// handshake line.
        server_roots: Option<Pem>,
    },
    /// Mutual TLS with the user's own identity.
    Given {
        /// The host's certificate chain, leaf first.
        certificate: Pem,
        /// The private key of the leaf.
        private_key: SecretPem,
        /// The roots that must have issued the plugin's certificate. With `None` the host trusts exactly the certificate in the
        /// handshake line.
        server_roots: Option<Pem>,
    },
}

/// How a plugin secures the connections with its host.
///
/// The settings `auto_mtls`, `certificate`, `private_key` and `client_roots` stand for one of these modes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "code that decides on security names every mode")]
pub enum PluginTls {
    /// No TLS. A host that requests mutual TLS is refused.
    Plaintext,
    /// Mutual TLS with an ephemeral identity, if the host requests it.
    AutoMtls {
        /// The roots that must have issued the host's certificate. A host that sends no certificate is then refused. With `None`
        /// the plugin trusts exactly the certificate that the host sends, and serves a host without one in plain text.
        client_roots: Option<Pem>,
    },
    /// Mutual TLS with the user's own identity.
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
    /// AutoMTLS without roots: the host trusts exactly the certificate in the handshake line. This is the default.
    pub const AUTO: Self = Self::AutoMtls { server_roots: None };
}

impl PluginTls {
    /// AutoMTLS without roots: the plugin trusts exactly the certificate that the host sends. This is the default.
    pub const AUTO: Self = Self::AutoMtls { client_roots: None };
}

table! {
    /// The settings of [`HostTls`].
    pub(crate) struct HostTlsSettings {
        /// Whether to request mutual TLS with ephemeral certificates (AutoMTLS). A plugin that does not support it is refused.
        /// With `false`, and without `certificate`, every process of the same user can connect to the plugin.
        auto_mtls: bool = "true", env ["PLUGIN_AUTO_MTLS"], pyvider ["plugin_auto_mtls"];
        /// The certificate chain that the host presents instead of an ephemeral one, leaf first. It requires `private_key`.
        certificate: Option<Pem> = "none",
            env ["PLUGIN_CLIENT_CERT", "PLUGIN_CLIENT_CERT_FILE"],
            pyvider ["plugin_client_cert", "plugin_client_cert_file"];
        /// The private key of `certificate`. It is not passed on to plugins.
        private_key: Option<SecretPem> = "none",
            env ["PLUGIN_CLIENT_KEY", "PLUGIN_CLIENT_KEY_FILE"],
            pyvider ["plugin_client_key", "plugin_client_key_file"];
        /// The roots that must have issued the plugin's certificate. With `none` the host trusts exactly the certificate in the
        /// handshake line.
        server_roots: Option<Pem> = "none",
            env ["PLUGIN_SERVER_ROOT_CERTS", "PLUGIN_CA_CERT"],
            pyvider ["plugin_server_root_certs", "plugin_ca_cert"];
    }
}

table! {
    /// The settings of [`PluginTls`].
    pub(crate) struct PluginTlsSettings {
        /// Whether to use an ephemeral certificate (AutoMTLS) if the host requests mutual TLS. With `false`, and without
        /// `certificate`, such a host is refused, and never served in plain text.
        auto_mtls: bool = "true", env ["PLUGIN_AUTO_MTLS"], pyvider ["plugin_auto_mtls"];
        /// The certificate chain that the plugin presents instead of an ephemeral one, leaf first. It requires `private_key` and
        /// `client_roots`.
        certificate: Option<Pem> = "none", env ["PLUGIN_SERVER_CERT"], pyvider ["plugin_server_cert"];
        /// The private key of `certificate`.
        private_key: Option<SecretPem> = "none", env ["PLUGIN_SERVER_KEY"], pyvider ["plugin_server_key"];
        /// The roots that must have issued the host's certificate. Every other host is refused, and no host is served in plain
        /// text. It requires `certificate` or `auto_mtls`. With `auto_mtls` alone the host must send a certificate that the
        /// roots issued when it launches the plugin; an ephemeral one does not qualify.
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

/// The identity that the settings give, if they give one.
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
