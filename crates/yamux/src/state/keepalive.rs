//! Pings that find out whether the peer is still there.

use std::time::Instant;

use crate::config::Keepalive;
use crate::error::Error;

/// The pings of one session. At most one is unanswered at a time.
#[derive(Debug)]
pub(super) struct Pings {
    settings: Option<Keepalive>,
    /// When to send the next ping, or when the unanswered one times out.
    deadline: Option<Instant>,
    /// The unanswered ping: its value, and when it was sent.
    unanswered: Option<(u32, Instant)>,
    next_value: u32,
}

impl Pings {
    pub(super) fn new(settings: Option<Keepalive>, now: Instant) -> Self {
        let deadline = settings.map(|keepalive| now + keepalive.interval);
        Self { settings, deadline, unanswered: None, next_value: 0 }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the value of the ping to send now, if one is due.
    pub(super) fn tick(&mut self, now: Instant) -> Result<Option<u32>, Error> {
        let (Some(settings), Some(deadline)) = (self.settings, self.deadline) else { return Ok(None) };
        if now < deadline {
            return Ok(None);
        }
        if self.unanswered.is_some() {
            return Err(Error::KeepaliveTimeout(settings.timeout));
        }
        let value = self.next_value;
        self.next_value = value.wrapping_add(1);
        self.unanswered = Some((value, now));
        self.deadline = Some(now + settings.timeout);
        Ok(Some(value))
    }

    /// Starts the timeout of an unanswered ping anew, because bytes have arrived. Any bytes show that the peer is there: its
    /// reply may be queued behind much data, or this side may have been too busy to read.
    pub(super) fn received_bytes(&mut self, now: Instant) {
        if let (Some(settings), Some(_)) = (self.settings, self.unanswered) {
            self.deadline = Some(now + settings.timeout);
        }
    }

    /// Takes a reply to a ping with this value.
    pub(super) fn received_reply(&mut self, value: u32) {
        if let (Some(settings), Some((sent, at))) = (self.settings, self.unanswered)
            && sent == value
        {
            self.unanswered = None;
            self.deadline = Some(at + settings.interval);
        }
    }
}
