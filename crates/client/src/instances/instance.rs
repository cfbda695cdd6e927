//! One instance of a plugin, as a host calls it.

use std::{fmt, pin::Pin, sync::Arc};

use http::{HeaderName, HeaderValue};
use rpcplugin_core::InstanceId;
use rpcplugin_transport::http2::PluginChannel;
use tower_layer::Layer;

use crate::error::InstanceError;

/// One instance of a plugin, as a host calls it. Cheap to clone. Dropping it does not remove the instance.
///
/// Made by [`Plugin::create_instance`](crate::Plugin::create_instance).
#[derive(Clone)]
pub struct PluginInstance {
    id: InstanceId,
    channel: PluginChannel,
    remove: Arc<dyn RemoveInstance>,
}

/// How the removal of an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceRemoval {
    /// No call uses the instance any more. Its value has been dropped.
    Unused,
    /// Calls still used the instance after the grace. They go on, and the value is dropped with the last of them.
    InUse,
}

/// Removes an instance, in the way of the plugin that it belongs to.
pub(crate) trait RemoveInstance: Send + Sync {
    fn remove(
        self: Arc<Self>,
        id: InstanceId,
    ) -> Pin<Box<dyn Future<Output = Result<InstanceRemoval, InstanceError>> + Send>>;
}

impl PluginInstance {
    /// `channel` is the channel of the plugin.
    pub(crate) fn new(id: InstanceId, channel: PluginChannel, remove: Arc<dyn RemoveInstance>) -> Self {
        Self { channel: naming(channel, &id), id, remove }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &InstanceId {
        &self.id
    }

    /// The channel for generated clients: `KvClient::new(instance.channel())`. It is the channel of the plugin with calls that
    /// name the instance. Cheap to clone.
    ///
    /// A call to an instance that the plugin does not have fails with NOT_FOUND.
    #[must_use]
    pub fn channel(&self) -> PluginChannel {
        self.channel.clone()
    }

    /// The channel with a [tower layer](tower_layer::Layer) around it, as
    /// [`Plugin::channel_with`](crate::Plugin::channel_with) returns it.
    #[must_use]
    pub fn channel_with<L: Layer<PluginChannel>>(&self, layer: &L) -> L::Service {
        layer.layer(self.channel())
    }

    /// Returns another channel to the same plugin, such as that of a brokered service, with calls that name the instance.
    #[must_use]
    pub fn channel_over(&self, channel: PluginChannel) -> PluginChannel {
        naming(channel, &self.id)
    }

    /// Removes the instance from the plugin. Later calls to it fail with NOT_FOUND. Calls in flight may go on for
    /// [`HostConfig::grace`](rpcplugin_config::HostConfig::grace), and for the plugin's own grace if that is shorter.
    ///
    /// Returns when no call uses the instance any more, or after the grace.
    ///
    /// # Errors
    /// [`InstanceError::Unknown`] if the plugin has no such instance.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop a removal that has reached the plugin.
    pub async fn remove(&self) -> Result<InstanceRemoval, InstanceError> {
        Arc::clone(&self.remove).remove(self.id.clone()).await
    }
}

impl fmt::Debug for PluginInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginInstance").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Returns the channel with calls that name the instance.
fn naming(channel: PluginChannel, id: &InstanceId) -> PluginChannel {
    // Every id is a valid value, because it is visible ASCII.
    match HeaderValue::from_str(id.as_str()) {
        Ok(value) => channel.with_header(HeaderName::from_static(InstanceId::METADATA_KEY), value),
        Err(_) => channel,
    }
}
