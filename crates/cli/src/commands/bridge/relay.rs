//! One connection: bytes from the host to the plugin, and back.

use std::io;

use rpcplugin::{
    Endpoint,
    transport::{Stream, dial},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::watch,
};

use crate::stand_in::PluginExit;

/// The number of connections by which hosts have sent something. A probe that connects and sends nothing is not a host.
pub(super) type Hosts = watch::Sender<usize>;

/// Connects to the plugin, and passes bytes in both directions until both are closed.
///
/// A side that closes one direction closes it for the other side too, and the other direction goes on.
pub(super) async fn relay(host: Stream, plugin: Endpoint, hosts: Hosts, exit: PluginExit) {
    let plugin = match dial(&plugin).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, cause = %error.source, "the plugin does not accept a connection");
            return;
        }
    };
    let ((from_host, to_host), (from_plugin, to_plugin)) = (tokio::io::split(host), tokio::io::split(plugin));
    let up = upstream(from_host, to_plugin, &hosts, &exit);
    let down = downstream(from_plugin, to_host, &exit);
    // An error is the end of the host, and ends both directions.
    let _ = tokio::try_join!(up, down);
}

/// Passes the bytes of the host on.
async fn upstream(
    mut host: impl AsyncRead + Unpin,
    mut plugin: impl AsyncWrite + Unpin,
    hosts: &Hosts,
    exit: &PluginExit,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut connected = None;
    let mut is_open = true;
    loop {
        let read = exit.bounds(host.read(&mut buffer)).await.unwrap_or(Ok(0))?;
        if read == 0 {
            let _ = plugin.shutdown().await;
            return Ok(());
        }
        connected.get_or_insert_with(|| Connected::over(hosts));
        // What comes after the plugin has closed its side is read and discarded. Otherwise closing the connection would discard what
        // the host has not read yet.
        is_open = is_open && matches!(exit.bounds(plugin.write_all(&buffer[..read])).await, Some(Ok(())));
    }
}

/// Passes the bytes of the plugin on.
async fn downstream(
    mut plugin: impl AsyncRead + Unpin,
    mut host: impl AsyncWrite + Unpin,
    exit: &PluginExit,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    // An error of the plugin's side is its end, as in the host's direction.
    while let Some(Ok(read @ 1..)) = exit.bounds(plugin.read(&mut buffer)).await {
        let write = exit.bounds(host.write_all(&buffer[..read])).await;
        write.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
    }
    host.shutdown().await
}

/// A host that has sent something, until this is dropped.
struct Connected(Hosts);

impl Connected {
    fn over(hosts: &Hosts) -> Self {
        hosts.send_modify(|count| *count += 1);
        Self(hosts.clone())
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

const BUFFER: usize = 64 << 10;
