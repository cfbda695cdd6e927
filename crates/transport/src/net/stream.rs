//! Raw byte streams.

use std::{fmt, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{
    io::dispatch_io,
    os::sockets::{UnixStream, end_after_silence, enlarge_send_buffer},
};

/// A byte stream that can be used as a [`Stream`].
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A raw byte stream between a host and a plugin.
#[non_exhaustive]
pub enum Stream {
    /// A Unix domain socket. There is no such stream on Windows.
    Unix(UnixStream),
    /// A TCP connection.
    Tcp(TcpStream),
    /// Any other byte stream, such as a stream of a multiplexed connection.
    Other(Box<dyn Io>),
}

impl Stream {
    /// Wraps the connection of a Unix socket. A larger send buffer makes streams of messages half as fast again.
    pub(crate) fn unix(stream: UnixStream) -> Self {
        enlarge_send_buffer(&stream);
        Self::Unix(stream)
    }

    /// Wraps any other byte stream.
    pub fn other(io: impl Io) -> Self {
        Self::Other(Box::new(io))
    }

    /// Lets the operating system end a TCP connection when the peer's machine has been silent for this time. Other streams end
    /// with the peer's process.
    pub(crate) fn end_after_silence(&self, silence: Duration) {
        if let Self::Tcp(stream) = self
            && let Err(error) = end_after_silence(stream, silence)
        {
            tracing::debug!(%error, "the connection cannot be watched for a silent peer");
        }
    }

    /// The address of the peer. A peer on a Unix socket has no address.
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

dispatch_io!(Stream, this => *this, Stream { Unix, Tcp, Other });

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(stream) => stream.fmt(f),
            Self::Tcp(stream) => stream.fmt(f),
            Self::Other(_) => f.write_str("Other"),
        }
    }
}
