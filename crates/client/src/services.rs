//! The long calls of a plugin's connection: that which forwards output, and that of the broker. They are opened again when
//! the connection breaks though the plugin runs on.

use std::{sync::Arc, time::Duration};

use rpcplugin_broker::{Broker, StreamEnd};
use rpcplugin_transport::http2::PluginChannel;
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument as _, Span};

use crate::{
    feed::Feed,
    process::{Process, ProcessEnd},
    stdio,
};

/// The long calls of one plugin. Dropping it ends that of the broker; that which forwards output belongs to the process's
/// readers.
#[derive(Debug)]
pub(crate) struct Services {
    stdio: AbortHandle,
    broker: AbortOnDropHandle<()>,
    ending: CancellationToken,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// The other side has said that there is no more.
    ForGood,
    /// By the connection, which can be made anew.
    Broken,
}

impl Services {
    /// Opens the calls, in tasks within the span of the plugin's life.
    pub(crate) fn open(
        channel: &PluginChannel,
        broker: &Broker,
        feed: &Arc<Feed>,
        process: &Process,
        life: &Span,
    ) -> Self {
        let ending = CancellationToken::new();
        let again = Reopening { end: process.exits(), ending: ending.clone() };
        let forwarding = {
            let (again, channel, feed) = (again.clone(), channel.clone(), Arc::clone(feed));
            async move {
                again.keep_open(|| stdio::pump(channel.clone(), &feed)).await;
                Ok(())
            }
        };
        let brokering = {
            let (channel, broker, feed) = (channel.clone(), broker.clone(), Arc::clone(feed));
            async move { again.keep_open(|| attach(&broker, channel.clone(), &feed)).await }
        };
        let forwarding = AbortOnDropHandle::new(tokio::spawn(forwarding.instrument(life.clone())));
        let stdio = forwarding.abort_handle();
        process.read(forwarding);
        let broker = AbortOnDropHandle::new(tokio::spawn(brokering.instrument(life.clone())));
        Self { stdio, broker, ending }
    }

    pub(crate) fn forwards_output(&self) -> bool {
        !self.stdio.is_finished()
    }

    pub(crate) fn serves_broker(&self) -> bool {
        !self.broker.is_finished()
    }

    /// What breaks from now on is not opened again.
    pub(crate) fn let_end(&self) {
        self.ending.cancel();
    }

    /// Resolves when the broker's call has ended. Only for one call.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub(crate) async fn broker_ended(&mut self) {
        let _ = (&mut self.broker).await;
    }

    /// Ends the calls at once.
    pub(crate) fn cut(&self) {
        self.stdio.abort();
        self.broker.abort();
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

/// What calls are opened again for.
#[derive(Debug, Clone)]
struct Reopening {
    end: ProcessEnd,
    ending: CancellationToken,
}

impl Reopening {
    /// Makes the call, again after a pause when the connection broke, until the process has ended or is being ended. The
    /// first pause is there for a process whose connection broke since it is ending: nobody has to knock at its door.
    async fn keep_open<F: Future<Output = CallEnd>>(self, mut call: impl FnMut() -> F) {
        let mut pause = FIRST_PAUSE;
        loop {
            let opened = Instant::now();
            if call().await == CallEnd::ForGood {
                return;
            }
            if opened.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                biased;
                _ = self.end.clone().wait() => return,
                () = self.ending.cancelled() => return,
                () = sleep(pause) => {}
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// Attaches to the plugin's broker once.
async fn attach(broker: &Broker, channel: PluginChannel, feed: &Feed) -> CallEnd {
    match broker.attach(channel).await {
        StreamEnd::Lost => CallEnd::Broken,
        StreamEnd::PeerClosed => {
            tracing::warn!(
                parent: None,
                plugin = feed.name(),
                "the plugin's broker is closed for good, as that of a Go plugin is once its first stream has ended; \
                 side connections with it fail until it is started anew"
            );
            CallEnd::ForGood
        }
        _ => CallEnd::ForGood,
    }
}

/// Long enough for a process that is ending to be seen dead.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A plugin that runs and cannot be reached is tried this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use super::*;
    use crate::exit::ExitReason;

    fn reopening() -> (Reopening, tokio::sync::watch::Sender<Option<ExitReason>>) {
        let (tell, end) = ProcessEnd::told();
        (Reopening { end, ending: CancellationToken::new() }, tell)
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_made_again_after_pauses_that_grow() {
        let (again, _tell) = reopening();
        let (begun, mut calls) = (Instant::now(), Vec::new());
        let call = || {
            calls.push(begun.elapsed().as_millis());
            ready(if calls.len() < 9 { CallEnd::Broken } else { CallEnd::ForGood })
        };
        again.keep_open(call).await;
        assert_eq!(calls, [0, 100, 300, 700, 1500, 3100, 6300, 11_300, 16_300]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_lasted_is_followed_by_another_soon() {
        let (again, _tell) = reopening();
        let (begun, calls) = (Instant::now(), Cell::new(0));
        let call = || async {
            sleep(Duration::from_secs(10)).await;
            calls.set(calls.get() + 1);
            if calls.get() < 5 { CallEnd::Broken } else { CallEnd::ForGood }
        };
        again.keep_open(call).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(50_400));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_opened_again_when_the_process_has_ended_or_is_being_ended() {
        for being_ended in [false, true] {
            let (again, tell) = reopening();
            let ending = again.ending.clone();
            let mut calls = 0;
            again
                .keep_open(|| {
                    calls += 1;
                    if being_ended {
                        ending.cancel();
                    } else {
                        tell.send_replace(Some(ExitReason::Status(0)));
                    }
                    ready(CallEnd::Broken)
                })
                .await;
            assert_eq!(calls, 1);
        }
    }
}
