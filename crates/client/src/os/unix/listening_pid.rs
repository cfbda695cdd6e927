//! The process that listens at a Unix socket.

use std::time::Duration;

use rpcplugin_core::{Endpoint, Pid};
use rpcplugin_transport::{Stream, dial};
use tokio::time::timeout;

/// The pid that the kernel reports for the listener at a Unix socket: that of the process that called `listen`.
pub(crate) async fn listening_pid(endpoint: &Endpoint, within: Duration) -> Option<Pid> {
    if !matches!(endpoint, Endpoint::Unix(_)) {
        return None;
    }
    let Stream::Unix(stream) = timeout(within, dial(endpoint)).await.ok()?.ok()? else { return None };
    Pid::new(u32::try_from(stream.peer_cred().ok()?.pid()?).ok()?)
}
