//! One stream inside the state machine: its buffers, its windows and its two halves.

use std::io::IoSlice;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::buffers::{ReceiveQueue, take_front};
use crate::frame::INITIAL_WINDOW;

/// The state of one stream on this side.
#[derive(Debug)]
pub(super) struct StreamState {
    /// Bytes that the application has written and that are in no frame yet. Entering bytes reduce the send window, so all of
    /// them may be sent at any time.
    send: BytesMut,
    /// How many more bytes the peer has room for.
    send_window: u32,
    /// Whether a writer found no room and waits for `Event::Writable`.
    pub(super) writer_waits: bool,
    /// Whether the stream is in the session's queue of streams with data to send.
    pub(super) scheduled: bool,
    pub(super) local: LocalEnd,
    /// The number of the frame with FIN, once that frame is queued.
    pub(super) fin: Option<u64>,

    received: ReceiveQueue,
    /// How many more bytes the peer may send. This, the queued bytes and `consumed` add up to the whole window.
    receive_window: u32,
    /// Bytes that the application has read and that have not been granted to the peer again.
    consumed: u32,
    /// Whether the peer has finished its half.
    pub(super) remote_finished: bool,

    /// Whether this side opened the stream and the peer has not acknowledged it.
    pub(super) unacknowledged: bool,
    /// Whether either side has reset the stream. Nothing can be read or written any more.
    pub(super) reset: bool,
    /// Whether the application has dropped the stream. Data that arrives is discarded.
    pub(super) detached: bool,
    /// The deadline by which the peer must finish a dropped stream.
    pub(super) lingers_until: Option<Instant>,
}

/// The state of this side's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocalEnd {
    Open,
    /// The application has finished it. FIN follows the data that is still queued.
    Finishing,
    /// FIN has been queued. It must not be sent again.
    Finished,
}

impl StreamState {
    pub(super) fn new(unacknowledged: bool) -> Self {
        Self {
            send: BytesMut::new(),
            send_window: INITIAL_WINDOW,
            writer_waits: false,
            scheduled: false,
            local: LocalEnd::Open,
            fin: None,
            received: ReceiveQueue::default(),
            receive_window: INITIAL_WINDOW,
            consumed: 0,
            remote_finished: false,
            unacknowledged,
            reset: false,
            detached: false,
            lingers_until: None,
        }
    }

    /// Takes as many bytes of `parts` as there is room for, and returns their number.
    pub(super) fn write(&mut self, parts: &[IoSlice<'_>], send_buffer: usize) -> usize {
        let mut written = 0;
        for part in parts {
            let take = part.len().min(self.room(send_buffer));
            self.send.extend_from_slice(&part[..take]);
            self.send_window -= u32::try_from(take).expect("the room is at most the window, which is a u32");
            written += take;
        }
        written
    }

    /// How many more bytes can be written now.
    pub(super) fn room(&self, send_buffer: usize) -> usize {
        let window = usize::try_from(self.send_window).unwrap_or(usize::MAX);
        window.min(send_buffer.saturating_sub(self.send.len()))
    }

    /// Takes note that the peer has room for `delta` more bytes. A window beyond `u32` could never be used up.
    pub(super) fn grant(&mut self, delta: u32) {
        self.send_window = self.send_window.saturating_add(delta);
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.send.is_empty()
    }

    /// Takes the next data to send, at most `limit` bytes.
    pub(super) fn take_unsent(&mut self, limit: usize) -> Bytes {
        take_front(&mut self.send, limit)
    }

    /// Reduces the receive window by data that the peer announces. Returns false if the window is too small.
    pub(super) fn expect_data(&mut self, length: u32) -> bool {
        match self.receive_window.checked_sub(length) {
            Some(left) => {
                self.receive_window = left;
                true
            }
            None => false,
        }
    }

    pub(super) fn push_received(&mut self, data: Bytes) {
        self.received.push(data);
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.received.is_empty()
    }

    pub(super) fn take_received(&mut self) -> Option<Bytes> {
        let data = self.received.pop()?;
        self.consumed +=
            u32::try_from(data.len()).expect("queued data is at most the window, which is a u32");
        Some(data)
    }

    /// Widens the receive window from the protocol's initial window to `window`. Returns the difference, to be announced to
    /// the peer.
    pub(super) fn widen(&mut self, window: u32) -> u32 {
        let extra = window - INITIAL_WINDOW;
        self.receive_window += extra;
        extra
    }

    /// Takes the number of bytes to grant to the peer, once half of the window has been read.
    pub(super) fn take_window_update(&mut self, window: u32) -> Option<u32> {
        if self.consumed < window / 2 || self.remote_finished || self.reset {
            return None;
        }
        self.receive_window += self.consumed;
        Some(std::mem::take(&mut self.consumed))
    }

    /// Whether the peer has sent more than half a window to a stream that the application has dropped.
    pub(super) fn exceeds_linger(&self, window: u32) -> bool {
        self.detached && !self.remote_finished && self.receive_window < window / 2
    }

    /// Drops the data that has not been read.
    pub(super) fn discard_received(&mut self) {
        self.received = ReceiveQueue::default();
    }

    /// Marks the stream as reset and frees its buffers.
    pub(super) fn reset(&mut self) {
        self.reset = true;
        self.send = BytesMut::new();
        self.discard_received();
    }

    /// Whether both halves have ended and the application has dropped the stream.
    pub(super) fn is_over(&self) -> bool {
        self.detached && (self.reset || (self.remote_finished && self.local == LocalEnd::Finished))
    }
}
