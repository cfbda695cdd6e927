//! Streams of the peer that wait to be accepted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Streams that the peer has opened and the application has not accepted, oldest first.
#[derive(Debug, Default)]
pub(super) struct Backlog(VecDeque<Unaccepted>);

#[derive(Debug)]
struct Unaccepted {
    stream: u32,
    /// When the stream is reset. `None` if it has been reset already. The application is given reset streams too, because
    /// go-plugin's broker recognises streams by the order of their arrival.
    deadline: Option<Instant>,
}

impl Backlog {
    pub(super) fn push(&mut self, stream: u32, now: Instant) {
        self.0.push_back(Unaccepted { stream, deadline: Some(now + ACCEPT_TIMEOUT) });
    }

    /// Takes the oldest stream.
    pub(super) fn pop(&mut self) -> Option<u32> {
        self.0.pop_front().map(|unaccepted| unaccepted.stream)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes note that a stream has been reset, if it is in the backlog.
    pub(super) fn mark_reset(&mut self, stream: u32) {
        if let Some(unaccepted) = self.0.iter_mut().find(|unaccepted| unaccepted.stream == stream) {
            unaccepted.deadline = None;
        }
    }

    /// Returns a stream that has waited too long, once. It stays in the backlog.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<u32> {
        let is_overdue = |unaccepted: &&mut Unaccepted| unaccepted.deadline.is_some_and(|due| due <= now);
        let overdue = self.0.iter_mut().find(is_overdue)?;
        overdue.deadline = None;
        Some(overdue.stream)
    }

    /// When a stream becomes [overdue](Self::overdue).
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.iter().find_map(|unaccepted| unaccepted.deadline)
    }

    #[cfg(test)]
    pub(super) fn contains(&self, stream: u32) -> bool {
        self.0.iter().any(|unaccepted| unaccepted.stream == stream)
    }

    /// Empties the backlog.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = u32> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|unaccepted| unaccepted.stream)
    }
}

/// How long a stream may wait to be accepted. A Go peer ends the whole session when a stream is not acknowledged for 75 s
/// (`StreamOpenTimeout`).
pub(super) const ACCEPT_TIMEOUT: Duration = Duration::from_secs(60);
