//! The errors of a session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The reason why a session ended, or why it opens no further streams.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This side closed the session, dropped its last user, or its runtime stopped.
    #[error("the session was closed on this side")]
    Closed,
    /// Every stream id of this side has been used: about two billion streams.
    #[error("the session has used all of its stream ids")]
    StreamIdsExhausted,
    /// Reading or writing the connection failed.
    #[error("the connection under the session failed")]
    Io(#[source] Arc<io::Error>),
    /// The peer closed the connection, or its process ended.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The peer accepts no further streams. Existing streams go on.
    #[error("the peer accepts no further streams")]
    PeerGoingAway,
    /// The peer sent nothing for this long after a ping.
    #[error("the peer sent nothing for {0:?} after a ping")]
    KeepaliveTimeout(Duration),
    /// The peer ended the session with a go-away code: 1 for a protocol error of this side, 2 for an internal error of
    /// its own.
    #[error("the peer ended the session with error code {0}")]
    PeerFailed(u32),
    /// The peer broke the protocol.
    #[error("the peer broke the yamux protocol")]
    Protocol(#[source] ProtocolError),
}

impl Error {
    /// Converts the error to an I/O error, for reads and writes of streams.
    pub(crate) fn to_io(&self) -> io::Error {
        let kind = match self {
            Self::Closed | Self::StreamIdsExhausted | Self::PeerGoingAway => io::ErrorKind::ConnectionAborted,
            Self::Io(source) => source.kind(),
            Self::PeerClosed | Self::PeerFailed(_) => io::ErrorKind::ConnectionReset,
            Self::KeepaliveTimeout(_) => io::ErrorKind::TimedOut,
            Self::Protocol(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self.clone())
    }
}

/// A violation of the protocol by the peer. The session ends with a go-away frame of code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame has another version than 0. Often the peer does not speak yamux at all.
    #[error("unknown protocol version {0}")]
    UnknownVersion(u8),
    /// A frame has an unknown type.
    #[error("unknown frame type {0}")]
    UnknownType(u8),
    /// A frame has flags other than SYN, ACK, FIN and RST.
    #[error("unknown flags {0:#06x}")]
    UnknownFlags(u16),
    /// The peer opened a stream that is already open.
    #[error("stream {0} was opened twice")]
    DuplicateStream(u32),
    /// The peer opened a stream with id 0, or with an id of this side.
    #[error("the peer may not open a stream with id {0}")]
    ForeignStreamId(u32),
    /// The peer sent more data than the receive window of the stream allows.
    #[error("the receive window of stream {0} was exceeded")]
    WindowExceeded(u32),
    /// The peer causes replies and does not read them.
    #[error("too many replies wait for the peer to read them")]
    Flooded,
}
