//! Connecting to an endpoint.

use std::{fmt, io, pin::Pin, sync::Arc};

use rpcplugin_core::Endpoint;
use tokio::net::TcpStream;

use super::stream::Stream;
use crate::os::sockets;

/// No stream to an endpoint could be opened.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot connect to {endpoint}")]
#[diagnostic(
    code(rpcplugin::transport::cannot_connect),
    help("{}", match source.kind() {
        io::ErrorKind::NotFound => "check that the plugin runs: its socket file does not exist; set `multiplex` if host and plugin have \
             different files, as on different machines: brokered services then need no socket of their own",
        io::ErrorKind::ConnectionRefused => "check that the plugin runs and that this is the address that it announced: nothing listens there",
        io::ErrorKind::PermissionDenied => "set `PLUGIN_UNIX_SOCKET_GROUP` to a group of both sides: this user may not connect",
        _ => "check that the plugin runs and listens at the address that it announced",
    })
)]
pub struct ConnectError {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The error of the operating system.
    pub source: io::Error,
}

/// Opens a raw stream to `endpoint`.
///
/// # Errors
/// [`ConnectError`] at once when nothing listens there. There is no timeout: the caller must give up on a TCP address
/// that drops packets.
///
/// # Cancel safety
/// Dropping the future closes the socket.
pub async fn dial(endpoint: &Endpoint) -> Result<Stream, ConnectError> {
    let stream = match endpoint {
        Endpoint::Unix(path) => sockets::dial(path).await.map(Stream::unix),
        Endpoint::Tcp(address) => TcpStream::connect((address.host(), address.port())).await.map(|stream| {
            // Calls are small: Nagle's algorithm would delay some by 40 ms. A failure makes calls slower only.
            let _ = stream.set_nodelay(true);
            Stream::Tcp(stream)
        }),
        Endpoint::Inherited(_) => {
            let text = "only the host that launched the plugin has its inherited connection";
            Err(io::Error::new(io::ErrorKind::Unsupported, text))
        }
        other => {
            Err(io::Error::new(io::ErrorKind::Unsupported, format!("unknown kind of endpoint: {other}")))
        }
    };
    stream.map_err(|source| ConnectError { endpoint: endpoint.clone(), source })
}

/// A way to reach endpoints that this machine's sockets do not reach: a port-forward, an ssh channel, or memory.
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// Opens a raw stream to an endpoint of the peer. Each call opens another stream.
    ///
    /// # Errors
    /// Any error that keeps the stream from being opened. There is no timeout: the caller gives up by dropping the future.
    ///
    /// # Cancel safety
    /// Dropping the future has to close what was opened.
    fn dial(&self, endpoint: &Endpoint) -> impl Future<Output = io::Result<Stream>> + Send;
}

/// Opens raw streams to endpoints: by this machine's sockets, or by a [`Dial`]. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Dialer(Option<Arc<dyn DialBoxed>>);

impl Dialer {
    /// Makes a dialer of this machine's sockets. This is the default.
    #[must_use]
    pub fn sockets() -> Self {
        Self(None)
    }

    /// Makes a dialer that opens streams by this [`Dial`].
    #[must_use]
    pub fn new(dial: impl Dial) -> Self {
        Self(Some(Arc::new(dial)))
    }

    /// Opens a raw stream to `endpoint`.
    ///
    /// # Errors
    /// [`ConnectError`]. There is no timeout: the caller must give up on an endpoint that does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub async fn dial(&self, endpoint: &Endpoint) -> Result<Stream, ConnectError> {
        match &self.0 {
            None => dial(endpoint).await,
            Some(custom) => custom
                .dial_boxed(endpoint)
                .await
                .map_err(|source| ConnectError { endpoint: endpoint.clone(), source }),
        }
    }
}

/// [`Dial`] as a trait that can be boxed.
trait DialBoxed: fmt::Debug + Send + Sync {
    fn dial_boxed<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + 'a>>;
}

impl<D: Dial> DialBoxed for D {
    fn dial_boxed<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + 'a>> {
        Box::pin(self.dial(endpoint))
    }
}
