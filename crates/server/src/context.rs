//! What a plugin's services are made with.

use rpcplugin_broker::Broker;
use rpcplugin_core::AppVersion;
use rpcplugin_transport::{Meter, http2::PluginChannel};
use tokio_util::sync::CancellationToken;

use crate::{ending::Ending, health::Health, rate_limit::RateLimit};

/// What is known when a plugin's services are made: after the versions are agreed upon, before the host can call.
///
/// Cheap to clone; keep one in a service that needs it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginContext {
    /// The version of the application's protocol that is served.
    pub version: AppVersion,
    /// Side connections with the host.
    pub broker: Broker,
    /// The status that health checks see.
    pub health: Health,
    /// The end of the plugin.
    pub ending: Ending,
    /// What the host said of itself.
    pub host: HostFacts,
    /// The limit of the plugin's own services, if its configuration has one.
    pub rate_limit: Option<RateLimit>,
    /// What has gone over all connections with the host, and over each.
    pub meter: Meter,
}

/// What a host told a plugin through its environment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HostFacts {
    /// Whether the host offered the version that is served. If not, it will refuse the answer.
    pub offered_version: bool,
    /// Whether both sides are authenticated.
    pub mutual_tls: bool,
    /// Whether side connections share the main connection's socket.
    pub multiplexed: bool,
}

impl PluginContext {
    /// A channel to the services that the host lets every plugin call (`Host::callbacks`), for a generated client.
    ///
    /// The connection is opened with the first call, and opened again should it break; all who ask share it. A host of
    /// rpcplugin without callbacks makes calls fail at once with FAILED_PRECONDITION; any other that offers no services, with
    /// UNAVAILABLE after [`PluginConfig::broker_timeout`].
    ///
    /// [`PluginConfig::broker_timeout`]: rpcplugin_config::PluginConfig::broker_timeout
    #[must_use]
    pub fn host_channel(&self) -> PluginChannel {
        self.broker.host_channel()
    }

    /// A token that fires when the plugin begins to end: long calls and background work should end then.
    #[must_use]
    pub fn shutdown(&self) -> CancellationToken {
        self.ending.token()
    }
}
