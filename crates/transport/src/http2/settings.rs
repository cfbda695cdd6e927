//! How much may be under way on a connection.

use std::time::Duration;

use http::HeaderMap;
use tonic::Status;

use crate::{http2::blocks::HeaderLimit, meter::Meter};

/// HTTP/2 settings of one side of a connection.
///
/// The defaults are measured for two processes on one machine: large windows and frames, because memory is near and
/// there is no slow network to protect. What a peer can make this side hold is bounded by the stream: one whose messages
/// are not read holds at most `stream_window` bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Bytes a peer may send on one stream before they are read. Default 8 MiB.
    pub stream_window: u32,
    /// Bytes a peer may send on all streams of a connection together before they are read. Default: the most that
    /// HTTP/2 can say, 2 GiB less one byte. Streams that nobody reads use it up, and when nothing is left, no call of the
    /// connection goes on, be it the broker's or the shutdown: less is for hosts that would rather have that than the
    /// memory of so many unread streams.
    pub connection_window: u32,
    /// The largest frame this side accepts, in bytes: 16 KiB to 16 MiB. Default 256 KiB.
    pub max_frame: u32,
    /// The largest set of headers of one call this side accepts, in bytes as HTTP/2 counts them: names, values and 32 for each.
    /// A call with longer ones ends with RESOURCE_EXHAUSTED; only those more than four times as long end the connection. Default
    /// 1 MiB.
    pub max_headers: u32,
    /// The largest gRPC message this side accepts, in bytes on the wire: of answers on a channel to the peer's own services,
    /// and of calls that a broker serves. [`serve`](crate::http2::serve) itself has the limits of its
    /// [`Services`](crate::Services::limited). A larger message ends its call with RESOURCE_EXHAUSTED before anything of it is
    /// kept. Default: none, which leaves the 2 GiB of protocol buffers.
    pub max_receive_message_size: Option<u64>,
    /// The largest gRPC message that services of a broker may answer with, in bytes on the wire. A larger one is replaced by
    /// RESOURCE_EXHAUSTED. Default: none.
    pub max_send_message_size: Option<u64>,
    /// How long a peer that connects may take for TLS and the first words of HTTP/2, together. Default 20 s.
    pub handshake_timeout: Duration,
    /// Pings on connections that this side dials, idle ones too. Default: none. Peers built on Go or on gRPC's C core
    /// hang up on whoever pings more often than every five minutes.
    pub keepalive: Option<Keepalive>,
    /// What counts the traffic of each connection. Default: nothing does.
    pub meter: Option<Meter>,
}

/// Pings by which a connection that died without a word is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "HTTP/2 has no more to say of pings")]
pub struct Keepalive {
    /// The time between pings.
    pub interval: Duration,
    /// How long a ping may stay unanswered before the connection counts as dead.
    pub timeout: Duration,
}

impl Settings {
    /// Why the headers or trailers of an answer are refused, if they are: they are longer than
    /// [`max_headers`](Self::max_headers). HTTP/2 lets them arrive up to four times as long, so that one call fails and not all
    /// that share its connection.
    #[must_use]
    pub fn refuse_headers(&self, headers: &HeaderMap) -> Option<Status> {
        HeaderLimit::new(self.max_headers).refuse_answer(headers)
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
        }
    }
}

/// The largest window of HTTP/2 (RFC 9113, 6.9.1). Memory is taken only for what has come.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;
