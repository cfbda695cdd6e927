//! Waiting for a condition.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Waits until the condition holds; `false` when it does not within the limit.
pub(crate) async fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Between two looks.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(2);
