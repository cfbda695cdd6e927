//! The numbers that `Info` reports.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

/// Counts calls. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    started: Arc<AtomicI64>,
    cancelled: Arc<AtomicI64>,
}

/// A call that counts as cancelled when this is dropped before it has [ended](Self::ended).
#[derive(Debug)]
pub(crate) struct Cancellable(Option<Arc<AtomicI64>>);

impl Counters {
    pub(crate) fn call_started(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    pub(crate) fn started(&self) -> i64 {
        self.started.load(Relaxed)
    }

    pub(crate) fn cancelled(&self) -> i64 {
        self.cancelled.load(Relaxed)
    }

    pub(crate) fn cancellable(&self) -> Cancellable {
        Cancellable(Some(Arc::clone(&self.cancelled)))
    }
}

impl Cancellable {
    /// The call ran to its end.
    pub(crate) fn ended(mut self) {
        self.0 = None;
    }
}

/// A handler whose caller has gone away is dropped where it waits.
impl Drop for Cancellable {
    fn drop(&mut self) {
        if let Some(cancelled) = &self.0 {
            cancelled.fetch_add(1, Relaxed);
        }
    }
}
