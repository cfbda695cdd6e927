//! Transports that a plugin brings along.

use std::{fmt, pin::Pin};

use rpcplugin_core::Endpoint;
use rpcplugin_transport::{Listen, Stream};

/// A way to listen that is neither this crate's Unix sockets nor its TCP: an inherited socket, a tunnel, memory.
///
/// Any listener together with the endpoint to announce is one, if there is nothing left to bind:
///
/// ```
/// # use rpcplugin_core::{Endpoint, MagicCookie};
/// # use rpcplugin_server::Serve;
/// # use rpcplugin_transport::{Listen, Stream};
/// struct Inherited(tokio::net::UnixListener);
///
/// impl Listen for Inherited {
///     async fn accept(&mut self) -> Option<Stream> {
///         self.0.accept().await.ok().map(|(stream, _)| Stream::Unix(stream))
///     }
/// }
///
/// # fn example(socket: tokio::net::UnixListener, cookie: MagicCookie) -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::parse("unix", "/run/example.sock")?;
/// let serve = Serve::new(cookie).transport((Inherited(socket), endpoint));
/// # Ok(()) }
/// ```
pub trait Transport: Send + 'static {
    /// What hands over incoming streams.
    type Listener: Listen;

    /// Listens, and says what to announce to the host. Called once, before anything is announced.
    ///
    /// # Errors
    /// Whatever keeps it from listening; the plugin fails to start then.
    fn bind(self) -> impl Future<Output = Result<(Self::Listener, Endpoint), BoxError>> + Send;
}

impl<L: Listen> Transport for (L, Endpoint) {
    type Listener = L;

    async fn bind(self) -> Result<(L, Endpoint), BoxError> {
        Ok(self)
    }
}

/// Any error, as other people's code returns it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Any listener.
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

/// [`Listen`] for any listener at all.
trait Accept: Send {
    fn accept_boxed(&mut self) -> Pin<Box<dyn Future<Output = Option<Stream>> + Send + '_>>;
}

impl<L: Listen> Accept for L {
    fn accept_boxed(&mut self) -> Pin<Box<dyn Future<Output = Option<Stream>> + Send + '_>> {
        Box::pin(self.accept())
    }
}

/// A transport that is bound later, whatever its type.
pub(crate) type AnyTransport = Box<dyn FnOnce() -> Binding + Send>;

type Binding = Pin<Box<dyn Future<Output = Result<(AnyListener, Endpoint), BoxError>> + Send>>;

pub(crate) fn any(transport: impl Transport) -> AnyTransport {
    Box::new(|| {
        Box::pin(async move {
            let (listener, endpoint) = transport.bind().await?;
            Ok((AnyListener::new(listener), endpoint))
        })
    })
}
