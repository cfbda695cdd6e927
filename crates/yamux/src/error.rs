//! Why a session ended or a stream could not be opened.

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why a session ended, or why it opens no further streams.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This side closed the session, dropped its last user, or its runtime stopped.
    #[error("the session was closed on this side")]
    Closed,
    /// Every stream id of this side has been used: about two thousand million streams.
    #[error("the session has used all of its stream ids")]
    StreamIdsExhausted,
    /// Reading or writing the connection failed.
    #[error("the connection under the session failed")]
    Io(#[source] Arc<io::Error>),
    /// The peer closed the connection, or its process ended.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The peer takes no further streams; those that exist go on.
    #[error("the peer accepts no further streams")]
    PeerGoingAway,
    /// The peer gave no sign of life for this long after it was asked for one.
    #[error("the peer stayed silent for {0:?} after a ping")]
    KeepaliveTimeout(Duration),
    /// The peer ended the session and blames this side (code 1), itself (code 2), or something unknown.
    #[error("the peer ended the session with error code {0}")]
    PeerFailed(u32),
    /// The peer sent something that yamux does not allow.
    #[error("the peer broke the yamux protocol")]
    Protocol(#[source] ProtocolError),
}

impl Error {
    /// The same as an I/O error, for those who read and write streams.
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

/// How a peer broke the protocol. The session ends, and the peer is told with a go-away frame of code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame of another version than 0; often a peer that does not speak yamux at all.
    #[error("unknown protocol version {0}")]
    UnknownVersion(u8),
    /// A frame of an unknown type.
    #[error("unknown frame type {0}")]
    UnknownType(u8),
    /// A frame with flags other than SYN, ACK, FIN and RST.
    #[error("unknown flags {0:#06x}")]
    UnknownFlags(u16),
    /// A stream was opened that is open already.
    #[error("stream {0} was opened twice")]
    DuplicateStream(u32),
    /// The peer opened a stream with id 0 or with an id that only this side may give.
    #[error("the peer may not open a stream with id {0}")]
    ForeignStreamId(u32),
    /// More data than the stream's receive window allowed.
    #[error("the receive window of stream {0} was exceeded")]
    WindowExceeded(u32),
    /// The peer asks for answers without ever reading them.
    #[error("too many answers wait for the peer to read them")]
    Flooded,
}
