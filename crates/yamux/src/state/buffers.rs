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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_copied_together_and_large_pieces_are_not_copied() {
        let mut queue = ReceiveQueue::default();
        let large = Bytes::from(vec![1; 8192]);
        for piece in [&[2; 8191][..], &[3; 2], &large, &[4]] {
            queue.push(if piece.len() == 8192 { large.clone() } else { Bytes::copy_from_slice(piece) });
        }
        assert!(!queue.is_empty());
        assert_eq!(queue.pop(), Some([&[2; 8191][..], &[3; 2]].concat().into()));
        let (popped, rest) = (queue.pop().expect("the large piece"), queue.pop());
        assert_eq!((popped.as_ptr(), popped.len()), (large.as_ptr(), 8192));
        assert_eq!((rest, queue.pop(), queue.is_empty()), (Some(Bytes::from_static(&[4])), None, true));
        queue.push(Bytes::from_static(&[5]));
        assert!(!queue.is_empty(), "a small piece");
        queue.pop();
        queue.push(large);
        assert!(!queue.is_empty(), "a large piece");
    }

    #[test]
    fn a_buffer_keeps_its_allocation_unless_it_is_large() {
        for (length, kept) in [(1, true), (16 * 1024, true), (16 * 1024 + 1, false), (100_000, false)] {
            for limit in [length, usize::MAX] {
                let mut buffer = BytesMut::with_capacity(200_000);
                buffer.resize(length, 7);
                assert_eq!(take_front(&mut buffer, limit), vec![7; length]);
                assert_eq!((buffer.len(), buffer.capacity() > 0), (0, kept), "{length}");
            }
        }
        let mut buffer = BytesMut::from(&b"abc"[..]);
        assert_eq!((take_front(&mut buffer, 2), &buffer[..]), (Bytes::from_static(b"ab"), &b"c"[..]));
    }
}
