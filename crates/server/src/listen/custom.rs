//! Custom transports.

use std::{fmt, pin::Pin};

use rpcplugin_broker::BoxError;
use rpcplugin_core::Endpoint;
use rpcplugin_transport::{Listen, Stream};

/// A transport that is neither one of this crate's Unix sockets nor its TCP: an inherited socket, a tunnel, memory.
///
/// A pair of a listener and the endpoint to announce is a custom transport:
///
/// ```
/// # use rpcplugin_core::{Endpoint, MagicCookie};
/// # use rpcplugin_server::Serve;
/// # use rpcplugin_transport::{Listen, Stream};
/// struct Inherited(tokio::net::TcpListener);
///
/// impl Listen for Inherited {
///     async fn accept(&mut self) -> Option<Stream> {
///         self.0.accept().await.ok().map(|(stream, _)| Stream::Tcp(stream))
///     }
/// }
///
/// # fn example(socket: tokio::net::TcpListener, cookie: MagicCookie) -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::from(socket.local_addr()?);
/// let serve = Serve::new(cookie).transport((Inherited(socket), endpoint));
/// # Ok(()) }
/// ```
pub trait CustomTransport: Send + 'static {
    /// Accepts incoming streams.
    type Listener: Listen;

    /// Listens, and returns the endpoint to announce to the host. Called once, before the handshake line is printed.
    ///
    /// # Errors
    /// Any error that keeps the transport from listening. The plugin fails to start then.
    fn bind(self) -> impl Future<Output = Result<(Self::Listener, Endpoint), BoxError>> + Send;
}

impl<L: Listen> CustomTransport for (L, Endpoint) {
    type Listener = L;

    async fn bind(self) -> Result<(L, Endpoint), BoxError> {
        Ok(self)
    }
}

/// A listener of any type.
pub(crate) struct AnyListener(Box<dyn Accept>);

impl AnyListener {
    pub(crate) fn new(listener: impl Listen) -> Self {
        Self(Box::new(listener))
    }
}

impl Listen for AnyListener {
    fn accept(&mut self) -> impl Future<Output = Option<Stream>> + Send {
        self.0.accept_boxed()
    }
}

impl fmt::Debug for AnyListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyListener")
    }
}

/// [`Listen`] as a trait that can be boxed.
trait Accept: Send {
    fn accept_boxed(&mut self) -> Pin<Box<dyn Future<Output = Option<Stream>> + Send + '_>>;
}

impl<L: Listen> Accept for L {
    fn accept_boxed(&mut self) -> Pin<Box<dyn Future<Output = Option<Stream>> + Send + '_>> {
        Box::pin(self.accept())
    }
}

/// A custom transport of any type that is not bound yet.
pub(crate) type AnyTransport = Box<dyn FnOnce() -> Binding + Send>;

type Binding = Pin<Box<dyn Future<Output = Result<(AnyListener, Endpoint), BoxError>> + Send>>;

pub(crate) fn any(transport: impl CustomTransport) -> AnyTransport {
    Box::new(|| {
        Box::pin(async move {
            let (listener, endpoint) = transport.bind().await?;
            Ok((AnyListener::new(listener), endpoint))
        })
    })
}
