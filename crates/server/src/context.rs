//! The context in which a plugin's services are made.

use rpcplugin_broker::Broker;
use rpcplugin_core::AppVersion;
use rpcplugin_transport::{Meter, http2::PluginChannel};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "rate-limit")]
use crate::layers::RateLimit;
use crate::{services::Health, shutdown::Shutdown};

/// The context in which a plugin's services are made, after the plugin has agreed with its host on a version and before the
/// host can call. Cheap to clone: a service may keep it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginContext {
    /// The version of the application's protocol that the plugin serves.
    pub version: AppVersion,
    /// Makes further connections with the host.
    pub broker: Broker,
    /// The status that health checks report.
    pub health: Health,
    /// The shutdown of the plugin.
    pub shutdown: Shutdown,
    /// Facts about the host and the connection with it.
    pub host: HostFacts,
    /// The rate limit of the plugin's own services, if the configuration has one.
    #[cfg(feature = "rate-limit")]
    pub rate_limit: Option<RateLimit>,
    /// Counts the bytes and messages of all connections with the host.
    pub meter: Meter,
}

/// Facts about the host and the connection with it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HostFacts {
    /// Whether the host offered the version that the plugin serves. If it did not, the host refuses the handshake line.
    pub offered_version: bool,
    /// Whether both sides are authenticated.
    pub mutual_tls: bool,
    /// Whether brokered connections share the main connection's socket.
    pub multiplexed: bool,
    /// Whether the plugin has inherited its connection from the host. Only the two processes can use it, so that it takes the place
    /// of AutoMTLS. `mutual_tls` is false then, because there are no certificates.
    pub inherited: bool,
}

impl PluginContext {
    /// Returns a channel to the services that the host offers to every plugin (`Host::callbacks`), for a generated client.
    ///
    /// The first call opens the connection. A broken connection is opened again by the next call. All channels share the
    /// connection. If the host offers no services, calls fail: with FAILED_PRECONDITION at once if the host uses rpcplugin,
    /// otherwise with UNAVAILABLE after [`PluginConfig::broker_timeout`].
    ///
    /// [`PluginConfig::broker_timeout`]: rpcplugin_config::PluginConfig::broker_timeout
    #[must_use]
    pub fn host_channel(&self) -> PluginChannel {
        self.broker.host_channel()
    }

    /// Returns a token that is cancelled when the shutdown begins. Long calls and background work should end then.
    #[must_use]
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.token()
    }
}
