//! The life of a bridge, from the start of its plugin to the plugin's exit.

use std::{future::pending, time::Duration};

use rpcplugin::{
    Endpoint,
    host::{ChildProcess, ExitReason},
    transport::{Listen as _, Listener},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::timeout,
};

use super::relay::{Hosts, relay};
use crate::stand_in::{Ends, PluginExit, until_exit};

/// Carries connections to the plugin until the plugin has exited. The connections end then, when what the plugin has sent has arrived.
pub(super) async fn carry(
    mut listener: Listener,
    plugin: &mut ChildProcess,
    handshake: oneshot::Receiver<Endpoint>,
    ends: Ends,
    exit: &PluginExit,
) -> ExitReason {
    let mut connections = JoinSet::new();
    let (hosts, counted) = watch::channel(0_usize);
    let carrying = serve(&mut listener, &mut connections, handshake, hosts, exit);
    let reason = until_exit(plugin, ends, counted, carrying).await;
    drop(listener);
    exit.has_come();
    // A host that sends without a pause does not keep the bridge running.
    let _ = timeout(DELIVERY, async { while connections.join_next().await.is_some() {} }).await;
    reason
}

/// Relays each connection of a host. Does not return.
async fn serve(
    listener: &mut Listener,
    connections: &mut JoinSet<()>,
    handshake: oneshot::Receiver<Endpoint>,
    hosts: Hosts,
    exit: &PluginExit,
) {
    let Ok(endpoint) = handshake.await else { return pending().await };
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            stream = listener.accept() => match stream {
                Some(stream) => {
                    connections.spawn(relay(stream, endpoint.clone(), hosts.clone(), exit.clone()));
                }
                None => return pending().await,
            },
        }
    }
}

/// The longest time for all connections to end when the plugin has exited.
const DELIVERY: Duration = Duration::from_secs(30);
