//! How a call or a connection on the lane fails.

use std::{fmt, io, sync::Arc};

use h2::Reason;

use super::malformed::Malformed;

/// The error of a call or of a connection on the lane. The codes are those of HTTP/2, and so is the meaning of each case.
#[derive(Debug, Clone)]
pub(crate) enum LaneError {
    /// The stream under the connection broke.
    Io(Arc<io::Error>),
    /// The peer ends the connection and does not process the call.
    GoAway(Reason),
    /// The call was reset.
    Reset {
        reason: Reason,
        by_peer: bool,
    },
    /// The peer does not keep to the protocol.
    Protocol(&'static str),
    Malformed(Malformed),
    /// The headers are longer than the peer accepts.
    HeadersTooLong,
}

impl LaneError {
    pub(super) fn io(kind: io::ErrorKind, what: &'static str) -> Self {
        Self::Io(Arc::new(io::Error::new(kind, what)))
    }

    /// Whether the peer has caused the error by a frame.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Self::GoAway(_) | Self::Reset { by_peer: true, .. })
    }

    /// Whether the error is of one call.
    pub(crate) fn is_reset(&self) -> bool {
        matches!(self, Self::Reset { .. })
    }

    /// Whether the connection ends in an orderly way, or this side ends it for a fault of the peer.
    pub(crate) fn is_go_away(&self) -> bool {
        matches!(self, Self::GoAway(_) | Self::Protocol(_) | Self::Malformed(_))
    }

    /// Whether this side has found a fault of the peer.
    pub(crate) fn is_library(&self) -> bool {
        matches!(self, Self::Protocol(_) | Self::Malformed(_))
    }

    pub(crate) fn get_io(&self) -> Option<&io::Error> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }

    /// The code of HTTP/2 for the error.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::GoAway(reason) | Self::Reset { reason, .. } => Some(*reason),
            Self::Protocol(_) | Self::Malformed(_) => Some(Reason::PROTOCOL_ERROR),
            Self::Io(_) | Self::HeadersTooLong => None,
        }
    }
}

impl From<io::Error> for LaneError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl From<Malformed> for LaneError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for LaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::GoAway(reason) => write!(f, "connection error received: {reason}"),
            Self::Reset { reason, by_peer: true } => write!(f, "stream error received: {reason}"),
            Self::Reset { reason, by_peer: false } => write!(f, "stream error sent: {reason}"),
            Self::Protocol(what) => write!(f, "the peer sent {what}"),
            Self::Malformed(malformed) => write!(f, "the peer sent {malformed}"),
            Self::HeadersTooLong => f.write_str("the headers are longer than the peer accepts"),
        }
    }
}

impl std::error::Error for LaneError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // `Io` prints the error of the operating system itself.
        None
    }
}
