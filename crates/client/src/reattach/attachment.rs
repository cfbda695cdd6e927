//! A running plugin, and how to reach it.

use std::{path::PathBuf, sync::Arc};

use rpcplugin_broker::Translate;
use rpcplugin_core::{AppVersion, Endpoint, semver::VersionReq};
use rpcplugin_handshake::ReattachConfig;
use rpcplugin_mtls::{Identity, MutualTls, TlsError, Trust};
use rpcplugin_transport::Security;

use crate::requirements::Requirements;

/// A running plugin, and how to reach it.
///
/// It is made from the data of a plugin in test mode or of an earlier host ([`ReattachConfig`],
/// [`Handover`](crate::Handover)), or from an endpoint.
///
/// ```
/// use rpcplugin_client::Attachment;
/// use rpcplugin_core::Endpoint;
///
/// let kv = Attachment::new(Endpoint::parse("tcp", "127.0.0.1:4711")?, 1).name("kv");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Attachment {
    pub(crate) config: ReattachConfig,
    pub(crate) security: Option<Security>,
    pub(crate) server_name: Option<String>,
    pub(crate) name: String,
    pub(crate) translate: Option<Arc<dyn Translate>>,
    pub(crate) requirements: Requirements,
    /// A directory that an earlier host made for the plugin's socket.
    pub(crate) leftover_dir: Option<PathBuf>,
    /// Whether the socket of a plugin that has exited stays, because other programs look after it.
    pub(crate) leaves_socket: bool,
    /// What the host that launched the plugin enforces on it.
    #[cfg(feature = "sandbox")]
    pub(crate) confinement: Option<rpcplugin_sandbox::Confinement>,
}

impl Attachment {
    /// Makes an attachment to a plugin that listens at this endpoint and speaks this version of the application's
    /// protocol. The process is looked up by the endpoint. [`Plugin::shut_down`](crate::Plugin::shut_down) ends the
    /// plugin as one of this host.
    #[must_use]
    pub fn new(endpoint: impl Into<Endpoint>, version: impl Into<AppVersion>) -> Self {
        let (endpoint, version) = (endpoint.into(), version.into());
        ReattachConfig { version: Some(version), endpoint, pid: None, test: false }.into()
    }

    /// Secures the connection: this side presents `identity`, and verifies the plugin by `trust`.
    ///
    /// By default the connection is secured by the certificate, key and roots of the host's configuration, if it has
    /// all three. Otherwise it is not secured, and every process that can reach the plugin can call it, as with
    /// go-plugin.
    ///
    /// # Errors
    /// [`TlsError`] if TLS cannot be set up with these.
    pub fn secured(mut self, identity: Identity, trust: Trust) -> Result<Self, TlsError> {
        self.security = Some(Security::Mutual(MutualTls::new(identity, trust)?));
        Ok(self)
    }

    /// Translates addresses where the plugin sees other files or networks than this host: its own recorded address,
    /// and those of brokered connections in both directions. By default addresses are used as they are.
    #[must_use]
    pub fn translate(mut self, translate: Arc<dyn Translate>) -> Self {
        self.translate = Some(translate);
        self
    }

    /// The name that the plugin's certificate must have where it is verified by roots: a DNS name or an IP address.
    /// By default that of the host's configuration, or `localhost`. Attaching fails with any other text.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The plugin's name in logs. By default `attached`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Requires a version of the plugin, as [`Command::require_version`](crate::Command::require_version) does.
    #[must_use]
    pub fn require_version(mut self, version: VersionReq) -> Self {
        self.requirements = self.requirements.version(version);
        self
    }

    /// Requires a capability of the plugin, as [`Command::require_version`](crate::Command::require_version) requires a version.
    #[must_use]
    pub fn require_capability(mut self, capability: impl Into<String>) -> Self {
        self.requirements = self.requirements.capability(capability);
        self
    }
}

impl From<ReattachConfig> for Attachment {
    fn from(config: ReattachConfig) -> Self {
        Self {
            config,
            security: None,
            server_name: None,
            name: "attached".to_owned(),
            translate: None,
            requirements: Requirements::new(),
            leftover_dir: None,
            leaves_socket: false,
            #[cfg(feature = "sandbox")]
            confinement: None,
        }
    }
}
