//! The counters of a connection on the lane, which counts its own frames.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    connection::PeerActivity,
    counts::{Counts, Meter},
};

/// Counts one connection on the lane, until it is dropped.
#[derive(Debug)]
pub(crate) struct LaneCounts(Arc<Counts>);

impl LaneCounts {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self(meter.open_connection())
    }

    /// What the peer has done. It can be read after the connection has closed.
    pub(crate) fn activity(&self) -> PeerActivity {
        PeerActivity(Arc::clone(&self.0))
    }

    pub(crate) fn bytes_sent(&self, bytes: usize) {
        self.0.bytes_sent.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn bytes_received(&self, bytes: usize) {
        self.0.bytes_received.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn messages_sent(&self, messages: u64) {
        self.0.messages_sent.fetch_add(messages, Relaxed);
    }

    pub(crate) fn messages_received(&self, messages: u64) {
        self.0.messages_received.fetch_add(messages, Relaxed);
    }

    /// Takes note that the peer has responded to a call.
    pub(crate) fn responded(&self) {
        self.0.responded.store(true, Relaxed);
    }

    /// Takes note that the peer has closed the connection, or that it broke.
    pub(crate) fn hung_up(&self) {
        self.0.hung_up.store(true, Relaxed);
    }
}

impl Drop for LaneCounts {
    fn drop(&mut self) {
        self.0.close();
    }
}
