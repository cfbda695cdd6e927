//! Waiting for a condition.

use std::{panic::Location, time::Duration};

use tokio::time::{Instant, sleep};

use super::TIMEOUT;

/// The pause between two checks of a condition.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Waits until the condition holds. Returns `false` if it does not hold within the timeout.
pub async fn holds_within(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Waits until the condition holds, and fails the test if that takes longer than [`TIMEOUT`].
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    eventually_within(TIMEOUT, what, condition)
}

/// Waits until the condition holds, and fails the test if that takes longer than the timeout.
#[track_caller]
pub fn eventually_within(
    timeout: Duration,
    what: &str,
    condition: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move { assert!(holds_within(timeout, condition).await, "{caller}: not within {timeout:?}: {what}") }
}

/// The same for tests that block their thread.
pub mod blocking {
    use std::{thread, time::Instant};

    use super::{POLL_INTERVAL, TIMEOUT};

    /// Waits until the condition holds, and fails the test if that takes longer than [`TIMEOUT`].
    #[track_caller]
    pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        while !condition() {
            assert!(Instant::now() < deadline, "not within {TIMEOUT:?}: {what}");
            thread::sleep(POLL_INTERVAL);
        }
    }
}
