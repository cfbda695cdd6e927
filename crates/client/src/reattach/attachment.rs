//! A running plugin, and how to reach it.

use std::{path::PathBuf, sync::Arc};

use rpcplugin_broker::Translate;
use rpcplugin_core::{AppVersion, Endpoint};
use rpcplugin_handshake::ReattachConfig;
use rpcplugin_mtls::{Identity, MutualTls, TlsError, Trust};
use rpcplugin_transport::Security;

/// A plugin that runs already, and how to reach it.
///
/// It is made of what a plugin in test mode or an earlier host wrote down ([`ReattachConfig`], [`Handover`]), or simply
/// of an address.
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
    /// A directory that an earlier host made for the plugin's socket.
    pub(crate) leftover_dir: Option<PathBuf>,
}

impl Attachment {
    /// A plugin that listens at this address and speaks this version of the application's protocol. It is not known which
    /// process it is, unless the address tells; it is ended as a plugin of this host would be.
    #[must_use]
    pub fn new(endpoint: impl Into<Endpoint>, version: impl Into<AppVersion>) -> Self {
        let (endpoint, version) = (endpoint.into(), version.into());
        ReattachConfig { version: Some(version), endpoint, pid: None, test: false }.into()
    }

    /// Secures the connection: this side presents `identity` and accepts whom `trust` names.
    ///
    /// Without it the connection is secured by the certificate, key and authorities of the host's configuration if it has
    /// all three, and otherwise not at all: whoever can reach the plugin may speak to it, as with go-plugin.
    ///
    /// # Errors
    /// [`TlsError`] when these make no TLS settings.
    pub fn secured(mut self, identity: Identity, trust: Trust) -> Result<Self, TlsError> {
        self.security = Some(Security::Mutual(MutualTls::new(identity, trust)?));
        Ok(self)
    }

    /// Translates addresses, if the plugin does not see the files and networks that this host sees: its own address, as
    /// it is written down, and those of brokered connections in both directions. By default none is.
    #[must_use]
    pub fn translate(mut self, translate: Arc<dyn Translate>) -> Self {
        self.translate = Some(translate);
        self
    }

    /// The name that the plugin's certificate must carry where authorities verify it: a DNS name or an IP address. By
    /// default that of the host's configuration, which is `localhost` if nothing else is said. One that is neither makes
    /// attaching fail.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The name by which logs call the plugin. By default `attached`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
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
            leftover_dir: None,
        }
    }
}
