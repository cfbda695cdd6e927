//! Opening a long-lived stream again when its connection breaks while the process runs on.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, process::owner::ProcessExit};

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// The peer reported that there is no more.
    Complete,
    /// The connection broke. It can be made anew.
    Broken,
}

/// The conditions under which streams are opened again.
#[derive(Debug, Clone)]
pub(super) struct Reopening {
    pub(super) exit: ProcessExit,
    pub(super) shutting_down: CancellationToken,
}

impl Reopening {
    /// Opens the stream, and again after a pause when the connection broke, until the process has exited or is being
    /// shut down. The first pause gives a process whose connection broke because it is exiting the time to be reaped.
    pub(super) async fn keep_open<F: Future<Output = CallEnd>>(self, mut open: impl FnMut() -> F) {
        let mut broken = 0;
        loop {
            let opened = Instant::now();
            if open().await == CallEnd::Complete {
                return;
            }
            if opened.elapsed() > PAUSES.max {
                broken = 0;
            }
            tokio::select! {
                biased;
                _ = self.exit.clone().wait() => return,
                () = self.shutting_down.cancelled() => return,
                () = sleep(PAUSES.pause(broken)) => {}
            }
            broken = broken.saturating_add(1);
        }
    }
}

/// The first pause is long enough for a process that is exiting to be reaped.
const PAUSES: Backoff =
    Backoff { initial: Duration::from_millis(100), multiplier: 2.0, max: Duration::from_secs(5) };

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use super::*;
    use crate::exit::ExitReason;

    fn reopening() -> (Reopening, tokio::sync::watch::Sender<Option<ExitReason>>) {
        let (report, exit) = ProcessExit::channel();
        (Reopening { exit, shutting_down: CancellationToken::new() }, report)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_opened_again_after_pauses_that_grow() {
        let (again, _report) = reopening();
        let (begun, mut calls) = (Instant::now(), Vec::new());
        let call = || {
            calls.push(begun.elapsed().as_millis());
            ready(if calls.len() < 9 { CallEnd::Broken } else { CallEnd::Complete })
        };
        again.keep_open(call).await;
        assert_eq!(calls, [0, 100, 300, 700, 1500, 3100, 6300, 11_300, 16_300]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_lasted_is_opened_again_after_the_first_pause() {
        let (again, _report) = reopening();
        let (begun, calls) = (Instant::now(), Cell::new(0));
        let call = || async {
            sleep(Duration::from_secs(10)).await;
            calls.set(calls.get() + 1);
            if calls.get() < 5 { CallEnd::Broken } else { CallEnd::Complete }
        };
        again.keep_open(call).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(50_400));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_a_process_that_has_exited_or_is_being_shut_down_is_not_opened_again() {
        for shutting_down in [false, true] {
            let (again, report) = reopening();
            let token = again.shutting_down.clone();
            let mut calls = 0;
            again
                .keep_open(|| {
                    calls += 1;
                    if shutting_down {
                        token.cancel();
                    } else {
                        report.send_replace(Some(ExitReason::Status(0)));
                    }
                    ready(CallEnd::Broken)
                })
                .await;
            assert_eq!(calls, 1);
        }
    }
}
