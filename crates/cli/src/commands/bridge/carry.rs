//! The life of a bridge, from the start of its plugin to the plugin's exit.

use std::{future::pending, time::Duration};

use rpcplugin::{
    Endpoint,
    host::{ChildProcess, ExitReason, PluginProcess as _},
    transport::{Listen as _, Listener},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{plugin_exit::PluginExit, relay::relay};
use crate::os::{HostExit, PassedSignals, send_signal};

/// What ends a plugin beside itself.
#[derive(Debug)]
pub(super) struct Ends {
    /// The signals of this process, which the plugin gets too.
    pub(super) signals: PassedSignals,
    /// The host, if the plugin ends with it.
    pub(super) host: Option<HostExit>,
    /// How long the plugin runs without a connected host.
    pub(super) orphan_timeout: Option<Duration>,
    /// How long the plugin may take to end by itself, once it has to.
    pub(super) grace: Duration,
}

/// Carries connections to the plugin until the plugin has exited. The connections end then, when what the plugin has sent has arrived.
pub(super) async fn carry(
    mut listener: Listener,
    plugin: &mut ChildProcess,
    handshake: oneshot::Receiver<Endpoint>,
    mut ends: Ends,
    exit: &PluginExit,
) -> ExitReason {
    let (mut handshake, mut endpoint) = (Some(handshake), None);
    let mut connections = JoinSet::new();
    let (hosts, mut counted) = watch::channel(0_usize);
    let mut alone_since = Some(Instant::now());
    let reason = loop {
        let orphaned = async {
            match (ends.orphan_timeout, alone_since) {
                (Some(timeout), Some(since)) => sleep_until(since + timeout).await,
                _ => pending().await,
            }
        };
        let host_exited = async {
            match &ends.host {
                Some(host) => host.exited().await,
                None => pending().await,
            }
        };
        let found = async {
            match &mut handshake {
                Some(handshake) => handshake.await.ok(),
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            reason = plugin.wait() => break reason,
            signal = ends.signals.next() => {
                if let Some(pid) = plugin.pid() {
                    send_signal(pid, signal);
                }
            }
            () = host_exited => {
                tracing::info!("the host has exited, and its plugin ends");
                break end(plugin, ends.grace).await;
            }
            () = orphaned => {
                tracing::info!(timeout = ?ends.orphan_timeout, "no host has been connected, and the plugin ends");
                break end(plugin, ends.grace).await;
            }
            found = found => (handshake, endpoint) = (None, found),
            Ok(()) = counted.changed() => {
                alone_since = (*counted.borrow_and_update() == 0).then(Instant::now);
            }
            Some(_) = connections.join_next() => {}
            Some(stream) = listener.accept(), if endpoint.is_some() => {
                if let Some(endpoint) = endpoint.clone() {
                    connections.spawn(relay(stream, endpoint, hosts.clone(), exit.clone()));
                }
            }
        }
    };
    drop(listener);
    exit.has_come();
    // A host that sends without a pause does not keep the bridge running.
    let _ = timeout(DELIVERY, async { while connections.join_next().await.is_some() {} }).await;
    reason
}

/// Asks the plugin to end, and kills it after `grace`.
async fn end(plugin: &mut ChildProcess, grace: Duration) -> ExitReason {
    plugin.terminate().await;
    if let Ok(reason) = timeout(grace, plugin.wait()).await {
        return reason;
    }
    plugin.kill().await;
    // A process in uninterruptible I/O is left to the system.
    timeout(KILL_TIMEOUT, plugin.wait()).await.unwrap_or(ExitReason::Unknown)
}

/// The longest time for all connections to end when the plugin has exited.
const DELIVERY: Duration = Duration::from_secs(30);

const KILL_TIMEOUT: Duration = Duration::from_secs(5);
