//! What a host lets its plugins call.

use std::{fmt, sync::Arc};

use rpcplugin_broker::{AcceptError, Broker};
use rpcplugin_core::AppVersion;
use rpcplugin_transport::Services;

use crate::identity::PluginId;

/// The plugin for which a host's services are made: see [`Host::callbacks_with`](crate::Host::callbacks_with).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Caller {
    /// Which plugin it is.
    pub plugin: PluginId,
    /// The version of the application's protocol that was agreed upon with it.
    pub version: AppVersion,
    /// Side connections with it, for services that call it in their turn.
    pub broker: Broker,
}

/// Makes a host's services, once for each plugin.
#[derive(Clone)]
pub(crate) struct Callbacks(Arc<dyn Fn(&Caller) -> Services + Send + Sync>);

impl Callbacks {
    pub(crate) fn new(make: impl Fn(&Caller) -> Services + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// Offers the services to a plugin, from now on until its broker closes. Nothing is waited for, so that a plugin
    /// is ready no later for it.
    pub(crate) async fn offer(&self, caller: &Caller) -> Result<(), AcceptError> {
        caller.broker.serve_host_services((self.0)(caller)).await?.detach();
        Ok(())
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callbacks")
    }
}
