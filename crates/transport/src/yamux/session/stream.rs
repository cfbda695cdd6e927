//! One stream inside the state machine: its queues, its windows and its two ends.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::super::frame::INITIAL_WINDOW;

/// What one side knows of one stream.
#[derive(Debug)]
pub(super) struct StreamState {
    /// Written here and not yet framed. The send window is spent when bytes enter, so all of it may always be sent.
    send: BytesMut,
    /// How much more the peer has room for.
    send_window: u32,
    /// A writer found no room and waits to be told.
    pub(super) writer_waits: bool,
    /// The stream has its place in the session's round of streams with something to send.
    pub(super) scheduled: bool,
    pub(super) local: LocalEnd,
    /// The number of the frame that carries FIN, once it is queued.
    pub(super) fin: Option<u64>,

    received: ReceiveQueue,
    /// How much more the peer may send. Together with what is queued and `consumed` it is the whole window.
    receive_window: u32,
    /// Read by the application and not yet granted to the peer again.
    consumed: u32,
    pub(super) remote_finished: bool,

    /// Opened here, and the peer has not acknowledged it.
    pub(super) unacknowledged: bool,
    /// Ended at once by either side; nothing can be read or written any more.
    pub(super) reset: bool,
    /// The application has dropped its half; what arrives is thrown away.
    pub(super) detached: bool,
    /// When a dropped stream stops waiting for the peer to finish.
    pub(super) lingers_until: Option<Instant>,
}

/// The state of this side's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocalEnd {
    Open,
    /// Finished by the application; FIN follows the data that is still queued.
    Finishing,
    /// FIN has been queued; it must never be sent again.
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

    /// Takes as much of `parts` as there is room for, and tells how much that was.
    pub(super) fn write(&mut self, parts: &[IoSlice<'_>], send_buffer: usize) -> usize {
        let mut written = 0;
        for part in parts {
            let take = part.len().min(self.room(send_buffer));
            self.send.extend_from_slice(&part[..take]);
            self.send_window -= u32::try_from(take).expect("the room is at most the window, which is a u32");
            written += take;
            if take < part.len() {
                break;
            }
        }
        written
    }

    /// How many more bytes can be written now.
    pub(super) fn room(&self, send_buffer: usize) -> usize {
        let window = usize::try_from(self.send_window).unwrap_or(usize::MAX);
        window.min(send_buffer.saturating_sub(self.send.len()))
    }

    /// The peer has room for more. A sum beyond the counter is more than can ever be used.
    pub(super) fn grant(&mut self, delta: u32) {
        self.send_window = self.send_window.saturating_add(delta);
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.send.is_empty()
    }

    /// The next data to send, at most `limit` bytes.
    pub(super) fn take_unsent(&mut self, limit: usize) -> Bytes {
        take_front(&mut self.send, limit)
    }

    /// Counts data that the peer is about to send; false if the window does not allow it.
    pub(super) fn expect_data(&mut self, length: u32) -> bool {
        match self.receive_window.checked_sub(length) {
            Some(left) => {
                self.receive_window = left;
                true
            }
            None => false,
        }
    }

    pub(super) fn receive(&mut self, data: Bytes) {
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

    /// Widens the receive window by what the protocol does not grant by itself, to be announced to the peer.
    pub(super) fn widen(&mut self, window: u32) -> u32 {
        let extra = window - INITIAL_WINDOW;
        self.receive_window += extra;
        extra
    }

    /// What to grant to the peer now: nothing until half of the window has been read.
    pub(super) fn take_window_update(&mut self, window: u32) -> Option<u32> {
        if self.consumed < window / 2 || self.remote_finished || self.reset {
            return None;
        }
        self.receive_window += self.consumed;
        Some(std::mem::take(&mut self.consumed))
    }

    /// The peer has sent so much to a dropped stream that an ordinary one would have been granted more.
    pub(super) fn overstays(&self, window: u32) -> bool {
        self.detached && !self.remote_finished && self.receive_window < window / 2
    }

    /// Nothing more will be read.
    pub(super) fn discard_received(&mut self) {
        self.received = ReceiveQueue::default();
    }

    /// Ends the stream at once and frees what it holds.
    pub(super) fn reset(&mut self) {
        self.reset = true;
        self.send = BytesMut::new();
        self.discard_received();
    }

    /// Both halves have ended and the application has gone: nobody needs the stream any more.
    pub(super) fn is_over(&self) -> bool {
        self.detached && (self.reset || (self.remote_finished && self.local == LocalEnd::Finished))
    }
}

/// Data that arrived and has not been read, in order.
///
/// Large pieces are kept as slices of the buffer that was read from the connection. Small ones are copied together,
/// because a slice keeps its whole buffer alive, and a peer could make a few bytes cost a buffer each.
#[derive(Debug, Default)]
struct ReceiveQueue {
    pieces: VecDeque<Bytes>,
    /// Small pieces, all later than `pieces`.
    tail: BytesMut,
}

impl ReceiveQueue {
    fn push(&mut self, data: Bytes) {
        if data.len() < COPIED_BELOW {
            self.tail.extend_from_slice(&data);
            return;
        }
        if !self.tail.is_empty() {
            let tail = take_front(&mut self.tail, usize::MAX);
            self.pieces.push_back(tail);
        }
        self.pieces.push_back(data);
    }

    fn pop(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.pieces.pop_front() {
            return Some(piece);
        }
        (!self.tail.is_empty()).then(|| take_front(&mut self.tail, usize::MAX))
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }
}

/// Takes up to `limit` bytes. A small buffer keeps its allocation for the next message; a large one gives it away, so
/// that a stream that once was busy and now is idle holds no memory.
fn take_front(buffer: &mut BytesMut, limit: usize) -> Bytes {
    if limit < buffer.len() {
        buffer.split_to(limit).freeze()
    } else if buffer.len() > KEPT_ALLOCATION {
        std::mem::take(buffer).freeze()
    } else {
        buffer.split().freeze()
    }
}

/// A quarter of what is copied anyway to reach the application, and an eighth of the driver's read buffer.
const COPIED_BELOW: usize = 8 * 1024;

const KEPT_ALLOCATION: usize = 16 * 1024;
