//! The counters that `Info` reports.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

/// Counters of calls. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    started: Arc<AtomicI64>,
    cancelled: Arc<AtomicI64>,
}

/// A call. It counts as cancelled if it is dropped before it has [ended](Self::ended).
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
    /// Marks the call as complete.
    pub(crate) fn ended(mut self) {
        self.0 = None;
    }
}

/// tonic drops the handler of a cancelled call while it waits.
impl Drop for Cancellable {
    fn drop(&mut self) {
        if let Some(cancelled) = &self.0 {
            cancelled.fetch_add(1, Relaxed);
        }
    }
}
