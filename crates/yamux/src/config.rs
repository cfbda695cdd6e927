//! Settings of a session.

use std::time::Duration;

use crate::frame::INITIAL_WINDOW;

/// Settings of one yamux session. The defaults are those of go-plugin's peers.
///
/// The two ends may have different settings. The protocol fixes only the initial window of 256 KiB.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) receive_window: u32,
    pub(crate) send_buffer: usize,
    pub(crate) max_frame: usize,
    pub(crate) backlog: usize,
    pub(crate) keepalive: Option<Keepalive>,
    /// How long a stream that this side has finished and dropped waits until the peer finishes. Go has the same timeout
    /// (`StreamCloseTimeout`). Tests shorten it.
    pub(crate) linger: Duration,
}

/// When to ping the peer, and how long it may send nothing after a ping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keepalive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

impl Config {
    /// Sets how many unread bytes a peer may send on one stream. Default: 256 KiB. Values are clamped to 256 KiB to 1 GiB.
    ///
    /// A larger window helps a stream over a slow or distant connection. It is also the memory that one stream with a
    /// blocked reader can cost. A window above 256 KiB is announced with the stream's first frame.
    ///
    /// Large windows do not suit Go peers with many busy streams. Go sends a whole window as one frame, its pings wait
    /// behind those frames, and it ends the session when a ping has waited for 10 s.
    #[must_use]
    pub fn with_receive_window(mut self, bytes: u32) -> Self {
        self.receive_window = bytes.clamp(INITIAL_WINDOW, MAX_RECEIVE_WINDOW);
        self
    }

    /// Sets how many written bytes of one stream may wait for the connection. Default: 256 KiB. Minimum: 1 byte.
    ///
    /// The peer's receive window limits them too. Writers wake more often with a small buffer.
    #[must_use]
    pub fn with_send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = bytes.max(1);
        self
    }

    /// Sets the largest payload of one data frame. Default: 64 KiB. Values are clamped to 1 byte to 64 KiB.
    ///
    /// Streams take turns frame by frame. Smaller frames shorten the time for which small messages wait behind large
    /// messages, and cost more work per byte.
    #[must_use]
    pub fn with_max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes.clamp(1, MAX_FRAME);
        self
    }

    /// Sets how many streams of the peer may wait to be accepted, and how many streams of this side may wait for the peer's
    /// acknowledgement. Default: 256. Minimum: 1.
    ///
    /// Further streams of the peer are reset. [`Session::open`](crate::Session::open) waits, because a Go peer with the
    /// same limit would reset the stream.
    #[must_use]
    pub fn with_backlog(mut self, streams: usize) -> Self {
        self.backlog = streams.max(1);
        self
    }

    /// Sets the interval between pings, and how long the peer may send nothing after a ping before the session ends.
    /// Default: 30 s and 10 s.
    ///
    /// Differs: in Go only the reply counts. Here any bytes of the peer count, because the reply may wait behind data.
    #[must_use]
    pub fn with_keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keepalive = Some(Keepalive { interval, timeout });
        self
    }

    /// Sends no pings. Then only the operating system notices a peer that has vanished without closing the connection.
    /// Pings of the peer are still answered.
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

/// The sum of a window and its updates stays far below the limit of the 32-bit counters of peers.
const MAX_RECEIVE_WINDOW: u32 = 1 << 30;

/// Headers cost nothing at this size, and streams still interleave.
const MAX_FRAME: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stay_within_their_limits() {
        let config = Config::default();
        let smallest = config
            .clone()
            .with_receive_window(0)
            .with_send_buffer(0)
            .with_max_frame(0)
            .with_backlog(0)
            .without_keepalive();
        let sizes = |config: &Config| (config.receive_window, config.send_buffer, config.max_frame);
        assert_eq!(sizes(&smallest), (262_144, 1, 1));
        assert_eq!((smallest.backlog, smallest.keepalive.is_none()), (1, true));

        assert_eq!(sizes(&config), (262_144, 262_144, 65_536));
        let largest =
            config.with_receive_window(u32::MAX).with_send_buffer(usize::MAX).with_max_frame(usize::MAX);
        assert_eq!(sizes(&largest), (1_073_741_824, usize::MAX, 65_536));
    }
}
