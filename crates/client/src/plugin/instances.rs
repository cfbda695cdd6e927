//! The instances of a plugin.

use std::sync::Arc;

use rpcplugin_core::{InstanceConfiguration, InstanceId};

use super::Plugin;
use crate::{
    error::InstanceError,
    instances::{InstanceLimits, InstanceRequests, PluginInstance},
};

impl Plugin {
    /// Creates an instance in the plugin: a value with a configuration of its own, such as a connection to a data source, a
    /// tenant, or a device. Returns when the instance takes calls, within
    /// [`HostConfig::launch_timeout`](rpcplugin_config::HostConfig::launch_timeout).
    ///
    /// The plugin is one that serves instances: a plugin of rpcplugin with `Serve::instances`, or one in another language that
    /// implements `proto/rpcplugin/v1/instances.proto`. All hosts of a plugin share its instances.
    ///
    /// ```no_run
    /// # use rpcplugin_client::Plugin;
    /// # use rpcplugin_core::InstanceConfiguration;
    /// # async fn example(plugin: &Plugin) -> Result<(), Box<dyn std::error::Error>> {
    /// # let settings = 7;
    /// let configuration = InstanceConfiguration::json(&settings)?;
    /// let acme = plugin.create_instance("tenants/acme", configuration).await?;
    /// let channel = acme.channel(); // for generated clients
    /// acme.remove().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InstanceError::Unsupported`] if the plugin has no instances, [`InstanceError::Exists`] if the id is in use,
    /// [`InstanceError::Refused`] if the plugin refuses the configuration.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the creation. An instance that was made just before stays.
    pub async fn create_instance(
        &self,
        id: impl AsRef<str>,
        configuration: InstanceConfiguration,
    ) -> Result<PluginInstance, InstanceError> {
        let id = InstanceId::new(id)?;
        let requests = self.instance_requests();
        requests.create(&id, &configuration, self.config.launch_timeout).await?;
        Ok(PluginInstance::new(id, self.channel(), Arc::new(requests)))
    }

    /// Returns an instance that exists already, such as that of another host. The plugin is not asked whether it exists.
    ///
    /// # Errors
    /// [`InstanceError::InvalidId`].
    pub fn instance(&self, id: impl AsRef<str>) -> Result<PluginInstance, InstanceError> {
        let id = InstanceId::new(id)?;
        Ok(PluginInstance::new(id, self.channel(), Arc::new(self.instance_requests())))
    }

    /// Returns the ids of all instances that take calls, within
    /// [`HostConfig::admin_timeout`](rpcplugin_config::HostConfig::admin_timeout).
    ///
    /// # Errors
    /// [`InstanceError::Unsupported`] if the plugin has no instances.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn instances(&self) -> Result<Vec<InstanceId>, InstanceError> {
        self.instance_requests().list().await
    }

    fn instance_requests(&self) -> InstanceRequests {
        InstanceRequests::new(self.channel(), InstanceLimits::new(&self.config))
    }
}
