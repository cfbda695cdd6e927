//! One generation of a supervised plugin.

use std::{fmt, sync::Arc, time::Duration};

use rpcplugin_broker::Broker;
use rpcplugin_core::{AppVersion, Endpoint, PluginMetadata};
use rpcplugin_transport::{Security, http2::PluginChannel};
use tonic::transport::Channel;

use crate::{
    connection::{metadata::known, open::KnownMetadata},
    error::MetadataCallError,
    plugin::Plugin,
    plugin_id::PluginId,
    process::owner::ProcessExit,
};

/// One generation of a supervised plugin: a process, and the connection with it. Cheap to clone. Holding it does not
/// keep the process running.
#[derive(Clone)]
pub struct Generation(Arc<Facts>);

struct Facts {
    plugin: PluginId,
    version: AppVersion,
    endpoint: Endpoint,
    security: Security,
    metadata: (KnownMetadata, Duration),
    launch_time: Duration,
    channel: PluginChannel,
    exit: ProcessExit,
    broker: Broker,
    #[cfg(feature = "sandbox")]
    confinement: Option<rpcplugin_sandbox::Confinement>,
}

impl Generation {
    pub(super) fn new(plugin: &Plugin) -> Self {
        Self(Arc::new(Facts {
            plugin: plugin.id(),
            version: plugin.version(),
            endpoint: plugin.endpoint().clone(),
            security: plugin.security().clone(),
            metadata: plugin.known_metadata(),
            launch_time: plugin.launch_time(),
            channel: plugin.channel(),
            exit: plugin.exit(),
            broker: plugin.broker().clone(),
            #[cfg(feature = "sandbox")]
            confinement: plugin.confinement().cloned(),
        }))
    }

    /// The number of the generation, counted from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.plugin.generation
    }

    /// The plugin's name, pid and generation.
    #[must_use]
    pub fn plugin(&self) -> &PluginId {
        &self.0.plugin
    }

    /// The version of the application's protocol that host and plugin agreed upon.
    #[must_use]
    pub fn version(&self) -> AppVersion {
        self.0.version
    }

    /// The endpoint on which this process listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The security of the connection.
    #[must_use]
    pub fn security(&self) -> &Security {
        &self.0.security
    }

    /// What is enforced on this process: see [`Plugin::confinement`].
    #[cfg(feature = "sandbox")]
    #[must_use]
    pub fn confinement(&self) -> Option<&rpcplugin_sandbox::Confinement> {
        self.0.confinement.as_ref()
    }

    /// Returns what the plugin of this process is, as [`Plugin::metadata`] does.
    ///
    /// # Errors
    /// As [`Plugin::metadata`].
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn metadata(&self) -> Result<Option<&PluginMetadata>, MetadataCallError> {
        let (metadata, limit) = &self.0.metadata;
        known(metadata, self.channel(), *limit).await
    }

    /// The time from the start of the launch until this process was ready.
    #[must_use]
    pub fn launch_time(&self) -> Duration {
        self.0.launch_time
    }

    /// The channel to this process only. Its calls fail after the exit of the process, and report the exit.
    #[must_use]
    pub fn channel(&self) -> PluginChannel {
        self.0.channel.clone()
    }

    /// tonic's own channel to this process: see [`Plugin::tonic_channel`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn tonic_channel(&self) -> Channel {
        self.0.channel.tonic_channel()
    }

    /// The broker of further connections with this process.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.0.broker
    }

    /// Whether the process is known to have exited.
    pub(super) fn has_exited(&self) -> bool {
        self.0.exit.now().is_some()
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("plugin", &self.0.plugin)
            .field("version", &self.0.version)
            .finish_non_exhaustive()
    }
}
