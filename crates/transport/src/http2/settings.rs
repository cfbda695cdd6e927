//! HTTP/2 settings.

use std::time::Duration;

use http::HeaderMap;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::presence::Presence;
use crate::{frames::HeaderLimit, lane::Limits, meter::Meter};

/// HTTP/2 settings of one side of a connection.
///
/// The defaults are measured for two processes on one machine: windows and frames are large, because memory is close
/// and there is no slow network. A stream whose messages are not read holds at most `stream_window` bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// How many unread bytes a peer may send on one stream. Default: 8 MiB.
    pub stream_window: u32,
    /// How many unread bytes a peer may send on all streams of a connection together. Default: HTTP/2's maximum of 2
    /// GiB less one byte.
    ///
    /// Unread streams use the window up. Then no call of the connection goes on, also not those of the broker and the
    /// shutdown. A smaller window limits the memory of unread streams.
    pub connection_window: u32,
    /// The largest frame that this side accepts, in bytes: 16 KiB to 16 MiB. Default: 256 KiB.
    pub max_frame: u32,
    /// The largest headers of one call that this side accepts, in bytes as HTTP/2 counts them: names, values, and 32
    /// for each field. Default: 1 MiB.
    ///
    /// A call with longer headers ends with RESOURCE_EXHAUSTED. Headers that are more than four times as long end the
    /// connection.
    pub max_headers: u32,
    /// The largest gRPC message that this side accepts, in bytes on the wire. It applies to responses on a channel, and
    /// to requests of services that a broker serves. [`serve`](crate::http2::serve) itself uses the limits of its
    /// [`Services`](crate::Services::limited). Default: no limit but the 2 GiB of protocol buffers.
    ///
    /// A larger message ends its call with RESOURCE_EXHAUSTED before any of its bytes are kept.
    pub max_receive_message_size: Option<u64>,
    /// The largest gRPC message in responses of services that a broker serves, in bytes on the wire. A larger message
    /// is replaced by RESOURCE_EXHAUSTED. Default: no limit.
    pub max_send_message_size: Option<u64>,
    /// How long a new connection may take for TLS and the preface of HTTP/2, together. Default: 20 s.
    pub handshake_timeout: Duration,
    /// Pings on connections that this side opens, also while they are idle. Default: no pings. Peers built on Go or on
    /// gRPC's C core close a connection with more than one ping in five minutes.
    pub keepalive: Option<Keepalive>,
    /// Counts the traffic of each connection. Default: no meter.
    pub meter: Option<Meter>,
    /// Counts the open connections that peers have made. Default: they are not counted.
    pub presence: Option<Presence>,
    /// How long the machine of a peer that connected over TCP may be silent, as the operating system sees it. Then the connection
    /// counts as dead. A process that is busy or stopped does not make its machine silent. Default: without end. It has no effect
    /// on Windows.
    pub peer_silence: Option<Duration>,
    /// Cancelled when the process of the peer has exited. Connections that this side has opened close half a second later,
    /// although another process may hold the peer's end open. No further connection is opened. Default: not known.
    pub peer_exit: Option<CancellationToken>,
    /// Whether connections use the lane of this library in place of HTTP/2. Default: they do not.
    pub lane: Lane,
}

/// Whether connections use the lane, the protocol of this library between two of its ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lane {
    /// HTTP/2 alone. The beginning of a connection is not looked at.
    #[default]
    Off,
    /// Connections that a peer opens may use the lane or HTTP/2. This side opens connections with HTTP/2.
    Accepted,
    /// This side opens connections with the lane, whose peer has to accept it. Peers may use the lane or HTTP/2.
    Used,
}

/// Pings that detect a dead connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "HTTP/2 pings have no other settings")]
pub struct Keepalive {
    /// The time between pings.
    pub interval: Duration,
    /// How long the peer may take to answer a ping. Then the connection counts as dead.
    pub timeout: Duration,
}

impl Settings {
    /// The limits that this side announces on the lane.
    pub(in crate::http2) fn lane_limits(&self) -> Limits {
        Limits {
            call: self.stream_window,
            connection: self.connection_window,
            max_frame: self.max_frame,
            max_headers: HeaderLimit::new(self.max_headers),
        }
    }

    /// Returns the status for a response whose headers or trailers are longer than [`max_headers`](Self::max_headers).
    /// `None` if they are not. Headers up to four times as long arrive, so that they fail one call and not all calls of
    /// the connection.
    #[must_use]
    pub fn refuse_headers(&self, headers: &HeaderMap) -> Option<Status> {
        HeaderLimit::new(self.max_headers).refuse_response(headers)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream_window: 8 << 20,
            connection_window: LARGEST_WINDOW,
            max_frame: 256 << 10,
            max_headers: 1 << 20,
            max_receive_message_size: None,
            max_send_message_size: None,
            handshake_timeout: Duration::from_secs(20),
            keepalive: None,
            meter: None,
            presence: None,
            peer_silence: None,
            peer_exit: None,
            lane: Lane::Off,
        }
    }
}

/// The largest window of HTTP/2 (RFC 9113, 6.9.1). Memory is used only for bytes that have arrived.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;
