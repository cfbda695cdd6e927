//! Where other hosts reach the plugin: an address of this program, which passes bytes on and counts the calls in them.
//!
//! The address stays when the plugin is started again. It is for plugins without TLS: what is encrypted cannot be counted, and a host
//! with the key expects the plugin's own certificate.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rpcplugin::{
    Endpoint,
    config::TcpPorts,
    handshake::ReattachConfig,
    host::Pid,
    transport::{Listen as _, Listener, SecureStream, Security, SocketDir, dial},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    pin,
    task::JoinSet,
    time::timeout,
};

use super::count::{CountedConnection, Counters};
use crate::commands::tap::Sender;

/// The address for other hosts. Dropping this closes it and all connections through it.
#[derive(Debug)]
pub(super) struct Passage {
    endpoint: Endpoint,
    target: Arc<Mutex<Option<Endpoint>>>,
    counters: Arc<Counters>,
    /// Ends its task when it is dropped.
    _listening: JoinSet<()>,
}

impl Passage {
    /// Listens on a socket in a private directory, and without such sockets on a port of this machine.
    ///
    /// # Errors
    /// No socket can be made.
    pub(super) async fn open() -> io::Result<Self> {
        let dir = SocketDir::private(None).ok();
        let listener = match dir.as_ref().map(Listener::unix_in) {
            Some(Ok(listener)) => listener,
            _ => Listener::tcp([127, 0, 0, 1].into(), TcpPorts::Any.numbers())
                .await
                .map_err(io::Error::other)?,
        };
        let endpoint = listener.endpoint().clone();
        let target = Arc::<Mutex<Option<Endpoint>>>::default();
        let counters = Arc::<Counters>::default();
        let mut listening = JoinSet::new();
        let served = serve(listener, target.clone(), counters.clone());
        listening.spawn(async move {
            served.await;
            drop(dir);
        });
        Ok(Self { endpoint, target, counters, _listening: listening })
    }

    /// Passes connections on to the plugin at this endpoint, and to none without an endpoint.
    pub(super) fn lead_to(&self, plugin: Option<Endpoint>) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = plugin;
    }

    /// Returns what another host needs to reach the plugin through this address. The process is this one, which stays when the plugin is
    /// started again. A host in test mode does not kill it.
    pub(super) fn config(&self, of_plugin: &ReattachConfig) -> ReattachConfig {
        ReattachConfig {
            endpoint: self.endpoint.clone(),
            pid: Some(Pid::current()),
            test: true,
            ..of_plugin.clone()
        }
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }
}

/// Passes each connection on, until it is dropped.
async fn serve(mut listener: Listener, target: Arc<Mutex<Option<Endpoint>>>, counters: Arc<Counters>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Some(accepted) = accepted else { return };
        // Without a plugin the connection is closed.
        let Some(plugin) = target.lock().unwrap_or_else(PoisonError::into_inner).clone() else { continue };
        let counters = counters.clone();
        connections.spawn(async move {
            let Ok(Ok(dialled)) = timeout(DIAL_TIMEOUT, dial(&plugin)).await else { return };
            let both = tokio::try_join!(Security::Plain.client(accepted), Security::Plain.client(dialled));
            if let Ok((host, plugin)) = both {
                pass(host, plugin, &CountedConnection::of(counters)).await;
            }
        });
    }
}

/// Passes bytes in both directions. When the plugin has closed its side, the host has a moment to close its own.
async fn pass(host: SecureStream, plugin: SecureStream, counted: &CountedConnection) {
    let (from_host, to_host) = tokio::io::split(host);
    let (from_plugin, to_plugin) = tokio::io::split(plugin);
    let requests = direction(Sender::Client, from_host, to_plugin, counted);
    let responses = direction(Sender::Server, from_plugin, to_host, counted);
    pin!(requests, responses);
    tokio::select! {
        () = &mut requests => responses.await,
        () = &mut responses => {
            let _ = timeout(CLOSING, requests).await;
        }
    }
}

/// Passes one direction on until it is closed.
async fn direction(
    sender: Sender,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    counted: &CountedConnection,
) {
    let mut bytes = vec![0; BUFFER];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let bytes = &bytes[..length];
        counted.read(sender, bytes);
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

const BUFFER: usize = 32 << 10;

/// How long the plugin may take to accept a connection.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a host may take to close a connection that the plugin has closed.
const CLOSING: Duration = Duration::from_secs(1);
