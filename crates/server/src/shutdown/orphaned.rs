//! Shutting down when no host is connected.

use std::time::Duration;

use rpcplugin_transport::http2::Presence;

use super::handle::{Shutdown, ShutdownCause};

/// How long a plugin serves while no host is connected to it.
#[derive(Debug, Clone)]
pub(crate) struct OrphanTimeout {
    pub(crate) timeout: Duration,
    /// The connections of hosts: the main ones, and those to brokered services.
    pub(crate) hosts: Presence,
}

impl OrphanTimeout {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, hosts: Presence::new() }
    }
}

/// Shuts the plugin down when no host has been connected for the time, counted from now and from the close of the last connection.
pub(super) async fn watch(orphan: OrphanTimeout, shutdown: Shutdown) {
    let OrphanTimeout { timeout, hosts } = orphan;
    tokio::select! {
        () = hosts.absent_for(timeout) => {}
        () = shutdown.begun() => return,
    }
    tracing::warn!(
        ?timeout,
        "no host has been connected for the orphan timeout (PLUGIN_ORPHAN_TIMEOUT); the plugin shuts down"
    );
    shutdown.begin(ShutdownCause::Orphaned);
}
