//! Buffers of one stream.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Data that has arrived and has not been read, in order.
///
/// Large pieces are slices of the buffer that was read from the connection. Small pieces are copied together, because a
/// slice keeps its whole buffer alive: a peer could make a few bytes cost a buffer each.
#[derive(Debug, Default)]
pub(super) struct ReceiveQueue {
    pieces: VecDeque<Bytes>,
    /// Small pieces that arrived after `pieces`.
    tail: BytesMut,
}

impl ReceiveQueue {
    pub(super) fn push(&mut self, data: Bytes) {
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

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.pieces.pop_front() {
            return Some(piece);
        }
        (!self.tail.is_empty()).then(|| take_front(&mut self.tail, usize::MAX))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }
}

/// Takes up to `limit` bytes. A small buffer keeps its allocation for the next message. A large buffer gives its
/// allocation away, so that a stream that was busy holds no memory while it is idle.
pub(super) fn take_front(buffer: &mut BytesMut, limit: usize) -> Bytes {
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
