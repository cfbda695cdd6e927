//! The services of the host that plugins call.

use std::{fmt, sync::Arc};

use rpcplugin_broker::{AcceptError, Broker};
use rpcplugin_core::AppVersion;
use rpcplugin_transport::Services;

use crate::plugin_id::PluginId;

/// The plugin for which a host makes services: see [`Host::callbacks_with`](crate::Host::callbacks_with).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallingPlugin {
    /// The plugin's name, pid and generation.
    pub plugin: PluginId,
    /// The version of the application's protocol that host and plugin agreed upon.
    pub version: AppVersion,
    /// The broker of further connections with the plugin, for services that call the plugin.
    pub broker: Broker,
}

/// Makes the host's services, once for each plugin.
#[derive(Clone)]
pub(crate) struct HostServices(Arc<dyn Fn(&CallingPlugin) -> Services + Send + Sync>);

impl HostServices {
    pub(crate) fn new(make: impl Fn(&CallingPlugin) -> Services + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// Serves the services to a plugin until its broker closes. Nothing is waited for, so that the plugin is ready no
    /// later.
    async fn serve(&self, plugin: &CallingPlugin) -> Result<(), AcceptError> {
        plugin.broker.serve_host_services((self.0)(plugin)).await?.detach();
        Ok(())
    }
}

/// Serves the host's services to a plugin, or reports to the plugin that this host has none.
pub(crate) async fn serve(
    services: Option<&HostServices>,
    plugin: &CallingPlugin,
) -> Result<(), AcceptError> {
    match services {
        Some(services) => services.serve(plugin).await,
        None => {
            plugin.broker.refuse_host_services();
            Ok(())
        }
    }
}

impl fmt::Debug for HostServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostServices")
    }
}
