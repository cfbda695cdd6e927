//! What all connections through a tap share.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use rpcplugin::transport::{SecureStream, Security, Stream};
use tokio::{sync::watch, time::timeout};

use super::{
    event::{Kind, Log, Side},
    tasks::Tasks,
};
use crate::stand_in::PluginExit;

/// What all connections share. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) log: Log,
    pub(super) exit: PluginExit,
    /// The connections of hosts by which something was sent.
    pub(super) hosts: watch::Sender<usize>,
    pub(super) security: Arc<TwoSided>,
    /// The longest message that is kept for the output.
    pub(super) kept: usize,
    /// The directory of all sockets.
    pub(super) dir: Arc<PathBuf>,
    pub(super) connections: Tasks,
    /// The listeners of brokered services.
    pub(super) listeners: Tasks,
}

/// The security towards each side.
#[derive(Debug, Clone)]
pub(super) struct TwoSided {
    pub(super) host: Security,
    pub(super) plugin: Security,
}

impl Context {
    /// Secures a stream that `dialer` has opened to this program.
    pub(super) async fn accepted(&self, stream: Stream, dialer: Side) -> io::Result<SecureStream> {
        match self.security(dialer) {
            // As it is: what a plain stream needs is up to the peers.
            Security::Plain => Ok(Security::Plain.client(stream).await.map_err(|error| error.0)?),
            security => bounded(async { security.server(stream).await.map_err(|error| error.0) }).await,
        }
    }

    /// Secures a stream that this program has opened to `acceptor`.
    pub(super) async fn dialled(&self, stream: Stream, acceptor: Side) -> io::Result<SecureStream> {
        let security = self.security(acceptor);
        bounded(async { security.client(stream).await.map_err(|error| error.0) }).await
    }

    pub(super) async fn note(&self, connection: &Arc<str>, from: Side, text: String) {
        self.log.send(Some(connection), from, Kind::Note(text)).await;
    }

    fn security(&self, side: Side) -> &Security {
        match side {
            Side::Host => &self.security.host,
            Side::Plugin => &self.security.plugin,
        }
    }
}

async fn bounded(handshake: impl Future<Output = io::Result<SecureStream>>) -> io::Result<SecureStream> {
    timeout(HANDSHAKE_TIMEOUT, handshake).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// The longest TLS handshake. Peers in Go allow 20 s.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
