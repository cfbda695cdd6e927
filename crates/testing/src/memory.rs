//! The in-memory streams between host and plugin.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use rpcplugin_core::Endpoint;
use rpcplugin_transport::{Dial, Listen, Stream, dial};
use tokio::{io::duplex, sync::mpsc};

/// The plugin's end: returns the streams that the host opens.
pub(crate) struct MemoryListener(mpsc::Receiver<Stream>);

/// The host's end: opens streams to the plugin.
#[derive(Debug)]
pub(crate) struct MemoryDial {
    streams: mpsc::Sender<Stream>,
    /// The endpoint that the plugin has announced.
    plugin: Arc<OnceLock<Endpoint>>,
}

/// Makes both ends. `plugin` is the endpoint of the plugin, once it is known.
pub(crate) fn pair(plugin: Arc<OnceLock<Endpoint>>) -> (MemoryDial, MemoryListener) {
    let (streams, opened) = mpsc::channel(WAITING);
    (MemoryDial { streams, plugin }, MemoryListener(opened))
}

impl Listen for MemoryListener {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

impl Dial for MemoryDial {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        if self.plugin.get() != Some(endpoint) {
            // A brokered service, which listens on a socket.
            return dial(endpoint).await.map_err(|error| error.source);
        }
        let (near, far) = duplex(BUFFER);
        let sent = self.streams.send(Stream::other(far)).await;
        sent.map_err(|_| io::Error::new(io::ErrorKind::ConnectionRefused, "the plugin has ended"))?;
        Ok(Stream::other(near))
    }
}

/// How many streams may wait for the plugin to accept them.
const WAITING: usize = 16;

/// The bytes that a stream holds in each direction, as a Unix socket of Linux does.
const BUFFER: usize = 208 << 10;
