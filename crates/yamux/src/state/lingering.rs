//! Streams that the application has dropped and the peer has not finished.

use std::collections::BTreeSet;
use std::time::Instant;

/// Dropped streams, by the deadline at which each is reset.
#[derive(Debug, Default)]
pub(super) struct Lingering(BTreeSet<(Instant, u32)>);

impl Lingering {
    /// Adds a stream. Returns the stream with the earliest deadline if there are too many; it is removed.
    pub(super) fn insert(&mut self, deadline: Instant, stream: u32) -> Option<u32> {
        self.0.insert((deadline, stream));
        if self.0.len() <= MAX_LINGERING {
            return None;
        }
        self.0.pop_first().map(|(_, stream)| stream)
    }

    pub(super) fn remove(&mut self, deadline: Instant, stream: u32) {
        self.0.remove(&(deadline, stream));
    }

    /// Takes a stream whose deadline has passed.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<u32> {
        self.deadline().filter(|deadline| *deadline <= now)?;
        self.0.pop_first().map(|(_, stream)| stream)
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.first().map(|&(deadline, _)| deadline)
    }
}

/// How many dropped streams may wait for the peer. Beyond that the oldest is reset.
pub(super) const MAX_LINGERING: usize = 1024;
