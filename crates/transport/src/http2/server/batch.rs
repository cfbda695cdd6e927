//! Responses that are written together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Decides whether a connection writes at once, or first lets the other calls run that were started with the call whose
/// response is ready.
///
/// Each response wakes the task of its connection, and tokio runs that task next. With many calls in flight, each response
/// would be a write of its own.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// How many calls have been started and not been polled.
    young: Arc<AtomicUsize>,
    /// How many calls are being started together.
    started: usize,
    /// When several calls were started together, if the connection has not been polled since.
    at: Option<Instant>,
}

/// A call that has not been polled.
#[derive(Debug)]
pub(super) struct Young(Arc<AtomicUsize>);

impl Batch {
    /// Counts a call that is started.
    pub(super) fn start(&mut self) -> Young {
        self.started += 1;
        self.young.fetch_add(1, Relaxed);
        Young(Arc::clone(&self.young))
    }

    /// Takes note that all calls that have arrived are started.
    pub(super) fn all_started(&mut self) {
        if self.started > 1 {
            self.at = Some(Instant::now());
        }
        self.started = 0;
    }

    /// Whether the connection should let other tasks go first. This is never true twice in a row, and not if the first
    /// of the calls took long: its response should not wait for those of the others then.
    pub(super) fn waits(&mut self) -> bool {
        self.at.take().is_some_and(|at| self.young.load(Relaxed) > 0 && at.elapsed() < QUICK)
    }
}

impl Drop for Young {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Calls that take longer than this are not worth waiting for.
const QUICK: Duration = Duration::from_micros(50);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_once_for_calls_that_were_started_together() {
        let mut batch = Batch::default();
        let (first, second) = (batch.start(), batch.start());
        batch.all_started();
        drop(first);
        assert!(batch.waits());
        assert!(!batch.waits(), "it writes, although the second call takes long");
        drop(second);

        let calls = [batch.start(), batch.start()];
        batch.all_started();
        drop(calls);
        assert!(!batch.waits(), "there is no other call");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_does_not_wait_for_one_call_or_after_a_slow_call() {
        let mut batch = Batch::default();
        let _slow = batch.start();
        batch.all_started();
        assert!(!batch.waits());
        let _late = batch.start();
        batch.all_started();
        assert!(!batch.waits(), "they were not started together");

        let _calls = [batch.start(), batch.start()];
        batch.all_started();
        advance(2 * QUICK).await;
        assert!(!batch.waits());
    }
}
