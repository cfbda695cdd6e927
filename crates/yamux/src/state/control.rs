//! The queue of frames without data, and the limit on those that the peer causes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::frame::Header;

/// Frames without data that wait to be written. They go before all data.
///
/// Frames are numbered in the order in which they are queued, from 1, so that a caller can wait until a certain one is
/// written.
#[derive(Debug, Default)]
pub(super) struct ControlQueue {
    frames: VecDeque<Control>,
    /// How many of `frames` are replies.
    pub(super) replies: usize,
    /// The deadline by which the peer must have taken enough replies, while there are too many.
    replies_due: Option<Instant>,
    queued: u64,
    taken: u64,
}

/// A frame without data.
#[derive(Debug)]
struct Control {
    header: Header,
    /// Whether the peer caused the frame. A peer can cause any number of these, so they are limited.
    reply: bool,
}

impl ControlQueue {
    pub(super) fn push(&mut self, header: Header) {
        self.frames.push_back(Control { header, reply: false });
        self.queued += 1;
    }

    /// Queues a frame that the peer has caused: a reply to a ping, an acknowledgement or a refusal.
    pub(super) fn push_reply(&mut self, header: Header) {
        self.frames.push_back(Control { header, reply: true });
        self.queued += 1;
        self.replies += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Header> {
        let Control { header, reply } = self.frames.pop_front()?;
        self.taken += 1;
        self.replies -= usize::from(reply);
        if !self.must_drain_replies() {
            self.replies_due = None;
        }
        Some(header)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The number of the frame that was queued last.
    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    /// The number of the frame that was taken last.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether so many replies wait that some must be written before more is read.
    pub(super) fn must_drain_replies(&self) -> bool {
        self.replies >= MANY_REPLIES
    }

    /// Whether more replies wait than a peer may cause.
    pub(super) fn is_flooded(&self) -> bool {
        self.replies > MAX_REPLIES
    }

    /// Starts the timeout for a peer that does not take replies, if there are too many.
    pub(super) fn limit_replies(&mut self, now: Instant) {
        if self.must_drain_replies() {
            self.replies_due.get_or_insert(now + REPLY_TIMEOUT);
        }
    }

    /// When a peer that takes no replies has had enough time, if there are too many replies.
    pub(super) fn replies_due(&self) -> Option<Instant> {
        self.replies_due
    }

    /// Drops all frames. Their numbers are not given out again.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.replies = 0;
        self.replies_due = None;
    }
}

/// How many replies may wait for the connection before reading stops. A peer that reads the replies stays far below: it
/// has one or two pings in flight, and as many streams as the backlog allows.
pub(super) const MANY_REPLIES: usize = 1024;

/// How long a peer may take no reply while there are too many.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many replies may wait at most. This is more than the bytes of one read can cause.
pub(super) const MAX_REPLIES: usize = 16 * 1024;
