//! How this host reaches the endpoints of a plugin.

use std::sync::Arc;

use rpcplugin_broker::Translate;
use rpcplugin_transport::Dialer;

/// How this host reaches the endpoints of a plugin: the main endpoint, and those of brokered services.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// Translates the endpoints first, where the plugin sees other files or networks than the host.
    pub(crate) translate: Option<Arc<dyn Translate>>,
    /// Opens the connections.
    pub(crate) dialer: Dialer,
}
