//! Connections in memory, under a clock that moves on when nothing else can happen.

use std::{future::Future, time::Duration};

use tokio::{runtime::Builder, time::timeout};

/// Runs a future to its end. Its time passes at once whenever it waits.
///
/// # Panics
/// If it does not end within an hour of its time.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    // A runtime for each input, so that no task of an earlier input runs in a later one.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let done = timeout(Duration::from_secs(3600), work).await;
        done.unwrap_or_else(|_| panic!("it does not end"))
    })
}
