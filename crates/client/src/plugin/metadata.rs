//! Asking a plugin for its metadata.

use std::time::Duration;

use rpcplugin_core::PluginMetadata;

use super::Plugin;
use crate::{
    connection::{metadata::known, open::KnownMetadata},
    error::MetadataCallError,
};

impl Plugin {
    /// Returns what the plugin is: its name, version, build and capabilities. `None` if the plugin reports no metadata, as plugins of
    /// go-plugin and of older programs.
    ///
    /// The first call asks the plugin, within [`HostConfig::admin_timeout`](rpcplugin_config::HostConfig::admin_timeout). Later calls
    /// return the same answer. A launch with [requirements](crate::Requirements) has asked already.
    ///
    /// # Errors
    /// [`MetadataCallError`] if the call fails, takes too long, or returns invalid metadata. The next call asks again.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn metadata(&self) -> Result<Option<&PluginMetadata>, MetadataCallError> {
        known(&self.session.metadata, self.channel(), self.config.admin_timeout).await
    }

    /// The metadata, for code that does not hold the plugin.
    pub(crate) fn known_metadata(&self) -> (KnownMetadata, Duration) {
        (self.session.metadata.clone(), self.config.admin_timeout)
    }
}
