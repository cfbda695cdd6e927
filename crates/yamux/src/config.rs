//! What a user of a session may set.

use std::time::Duration;

use crate::frame::INITIAL_WINDOW;

/// Settings of one yamux session; the default is what go-plugin's peers use.
///
/// Both ends may have different settings: only the initial window of 256 KiB is fixed by the protocol.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) receive_window: u32,
    pub(crate) send_buffer: usize,
    pub(crate) max_frame: usize,
    pub(crate) backlog: usize,
    pub(crate) keepalive: Option<Keepalive>,
    /// How long a stream that this side has finished and dropped waits for the peer to finish. Go has the same limit
    /// (`StreamCloseTimeout`); shorter in tests only.
    pub(crate) linger: Duration,
}

/// How often to ask whether the peer is there, and how long it may stay silent then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keepalive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

impl Config {
    /// Sets how many bytes a peer may send on one stream before this side has read them. Default: 256 KiB, which is
    /// also the least; values outside 256 KiB to 1 GiB are brought into that range.
    ///
    /// A larger window helps one stream over a slow or distant connection, and is the memory that one stream whose
    /// reader is stuck can cost. Anything above 256 KiB is announced with the stream's first frame. Large windows do not
    /// suit Go peers with many busy streams: Go sends a whole window as one frame, its pings wait behind those frames,
    /// and it ends the session when one has waited for 10 s.
    #[must_use]
    pub fn with_receive_window(mut self, bytes: u32) -> Self {
        self.receive_window = bytes.clamp(INITIAL_WINDOW, MAX_RECEIVE_WINDOW);
        self
    }

    /// Sets how many written bytes of one stream may wait for the connection. Default: 256 KiB; at least 1 byte.
    ///
    /// The peer's receive window limits them as well. A small buffer makes writers wake more often.
    #[must_use]
    pub fn with_send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = bytes.max(1);
        self
    }

    /// Sets the greatest payload of one data frame. Default: 64 KiB; values outside 1 byte to 64 KiB are brought into
    /// that range.
    ///
    /// Streams take turns frame by frame, so smaller frames shorten the wait of small messages behind large ones and
    /// cost more work per byte.
    #[must_use]
    pub fn with_max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes.clamp(1, MAX_FRAME);
        self
    }

    /// Sets how many streams may wait to be accepted, and how many opened here may wait for the peer's acknowledgement.
    /// Default: 256; at least 1.
    ///
    /// A stream that arrives when that many wait already is reset. [`Session::open`](crate::Session::open) waits when
    /// that many of its own are not acknowledged, because a Go peer with the same limit would reset the next.
    #[must_use]
    pub fn with_backlog(mut self, streams: usize) -> Self {
        self.backlog = streams.max(1);
        self
    }

    /// Sets how often the peer is asked for a sign of life, and how long it may then stay silent before the session
    /// ends. Default: every 30 s, 10 s.
    ///
    /// Differs: in Go only the answer itself counts; here anything the peer sends does, since an answer may have to wait
    /// behind data.
    #[must_use]
    pub fn with_keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keepalive = Some(Keepalive { interval, timeout });
        self
    }

    /// Never asks the peer for a sign of life. A peer that vanished without closing the connection is then noticed by
    /// the operating system only. The peer's own questions are answered all the same.
    #[must_use]
    pub fn without_keepalive(mut self) -> Self {
        self.keepalive = None;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            receive_window: INITIAL_WINDOW,
            send_buffer: 256 * 1024,
            max_frame: MAX_FRAME,
            backlog: 256,
            linger: Duration::from_secs(5 * 60),
            keepalive: Some(Keepalive {
                interval: Duration::from_secs(30),
                timeout: Duration::from_secs(10),
            }),
        }
    }
}

/// Keeps the sum of a window and its updates far from the 32-bit counters in which peers keep it.
const MAX_RECEIVE_WINDOW: u32 = 1 << 30;

/// Long enough that headers cost nothing, short enough that streams interleave.
const MAX_FRAME: usize = 64 * 1024;
