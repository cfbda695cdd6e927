//! Byte streams: raw, and secured.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use rpcplugin_mtls::PeerCertificate;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsStream;

use crate::authority::AuthorityFilter;

/// What a stream of another kind has to be able to do, to be a [`Stream`].
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A raw byte stream between a host and a plugin.
#[non_exhaustive]
pub enum Stream {
    /// A Unix domain socket.
    Unix(UnixStream),
    /// A TCP connection.
    Tcp(TcpStream),
    /// Anything else, such as one of many streams on a multiplexed connection.
    Other(Box<dyn Io>),
}

/// A byte stream whose peer is authenticated, or knowingly is not: see [`Security`](crate::Security).
#[derive(Debug)]
pub struct SecureStream(Inner);

enum Inner {
    Plain(Stream),
    /// A plain Unix socket on which a host built on gRPC's C core may call.
    Filtered(AuthorityFilter<Stream>),
    Tls(Box<TlsStream<Stream>>),
}

impl Stream {
    /// A connection by a Unix socket, with room for more than one large frame on its way: streams of messages are half
    /// as fast again with it.
    pub(crate) fn unix(stream: UnixStream) -> Self {
        // The system may grant less; then calls are as they would be without asking.
        let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER);
        Self::Unix(stream)
    }

    /// A stream of another kind.
    pub fn other(io: impl Io) -> Self {
        Self::Other(Box::new(io))
    }

    /// From where it comes, if that has an address: a peer's Unix socket has none.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Unix(_) | Self::Other(_) => None,
        }
    }

    /// Whether this is a Unix domain socket.
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl SecureStream {
    pub(crate) fn plain(stream: Stream) -> Self {
        Self(Inner::Plain(stream))
    }

    pub(crate) fn filtered(stream: Stream) -> Self {
        Self(Inner::Filtered(AuthorityFilter::new(stream)))
    }

    pub(crate) fn tls(stream: impl Into<TlsStream<Stream>>) -> Self {
        Self(Inner::Tls(Box::new(stream.into())))
    }

    /// Whether both sides of this stream are authenticated.
    #[must_use]
    pub fn is_mutual(&self) -> bool {
        matches!(self.0, Inner::Tls(_))
    }

    /// The certificate with which the other side has proved who it is.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<PeerCertificate> {
        let Inner::Tls(stream) = &self.0 else { return None };
        let leaf = stream.get_ref().1.peer_certificates()?.first()?;
        PeerCertificate::from_der(leaf.as_ref()).ok()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(stream) => stream.fmt(f),
            Self::Tcp(stream) => stream.fmt(f),
            Self::Other(_) => f.write_str("Other"),
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(stream) => f.debug_tuple("Plain").field(stream).finish(),
            Self::Filtered(_) => f.write_str("Filtered"),
            Self::Tls(_) => f.write_str("Tls"),
        }
    }
}

/// Four frames of the size that this library accepts. Linux has 208 KiB by default, less than one.
const SEND_BUFFER: usize = 1 << 20;

/// Passes a call on to whichever stream this is.
macro_rules! each {
    ($self:ident, $enum:ident { $($variant:ident),+ }, $stream:ident => $call:expr) => {
        match $self {
            $($enum::$variant($stream) => $call,)+
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        each!(this, Self { Unix, Tcp, Other }, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        each!(this, Self { Unix, Tcp, Other }, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        each!(this, Self { Unix, Tcp, Other }, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, Self { Unix, Tcp, Other }, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        each!(this, Self { Unix, Tcp, Other }, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        each!(this, Self { Unix, Tcp, Other }, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl AsyncRead for SecureStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let inner = &mut self.get_mut().0;
        each!(inner, Inner { Plain, Filtered, Tls }, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for SecureStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let inner = &mut self.get_mut().0;
        each!(inner, Inner { Plain, Filtered, Tls }, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let inner = &mut self.get_mut().0;
        each!(inner, Inner { Plain, Filtered, Tls }, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        let inner = &self.0;
        each!(inner, Inner { Plain, Filtered, Tls }, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut self.get_mut().0;
        each!(inner, Inner { Plain, Filtered, Tls }, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut self.get_mut().0;
        each!(inner, Inner { Plain, Filtered, Tls }, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
