//! The handle of a plugin's process: watched, signalled from one place only, and never left behind.

use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{Instrument as _, Span};

use crate::{
    events::Event,
    exit::ExitReason,
    feed::Feed,
    remains::{NamedSocket, Remains, RemovedInTheEnd},
    runner::Running,
};

/// The handle of something that runs. Its task owns it, and is the only one to end it.
#[derive(Debug)]
pub(crate) struct Process {
    id: Arc<str>,
    pid: Option<u32>,
    when_dropped: WhenDropped,
    orders: mpsc::UnboundedSender<Order>,
    ended: watch::Receiver<Option<ExitReason>>,
    remains: Remains,
}

/// The end of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ProcessEnd(watch::Receiver<Option<ExitReason>>);

/// What becomes of a process whose handle is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenDropped {
    /// It is killed: this host started it.
    Kill,
    /// It goes on: somebody else did.
    Leave,
}

#[derive(Debug)]
enum Order {
    Ready(oneshot::Sender<()>),
    Terminate,
    Kill,
    Leave(oneshot::Sender<()>),
}

impl Process {
    /// Watches over a process from now on, within the span of its life.
    pub(crate) fn watch(
        running: impl Running,
        when_dropped: WhenDropped,
        feed: &Arc<Feed>,
        life: &Span,
    ) -> Self {
        let (id, pid) = (running.id().into(), running.pid());
        let (orders, received) = mpsc::unbounded_channel();
        let (tell, ended) = watch::channel(None);
        let remains = Remains::default();
        let watching =
            watch_over(remains.removed_in_the_end(), running, when_dropped, received, tell, Arc::clone(feed));
        tokio::spawn(watching.instrument(life.clone()));
        Self { id, pid, when_dropped, orders, ended, remains }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    pub(crate) fn ends_with_its_handle(&self) -> bool {
        self.when_dropped == WhenDropped::Kill
    }

    /// The signal that is sent by this host's means, if it reaches the process: one that somebody else started is not
    /// signalled unless it is known.
    pub(crate) fn reached_by(&self, signal: Signal) -> Option<Signal> {
        (self.ends_with_its_handle() || self.pid.is_some()).then_some(signal)
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitReason> {
        self.exits().now()
    }

    /// Resolves when the process has ended and been reaped.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) fn end(&self) -> impl Future<Output = ExitReason> + Send + use<> {
        self.exits().wait()
    }

    /// The end of the process for those who do not hold it.
    pub(crate) fn exits(&self) -> ProcessEnd {
        ProcessEnd(self.ended.clone())
    }

    /// Has the socket that the process may leave behind removed when it is gone.
    pub(crate) fn may_leave(&self, socket: NamedSocket) {
        self.remains.add(socket);
    }

    /// Tells that the plugin has answered, and waits until what has to be done then is done.
    ///
    /// # Cancel safety
    /// What is not done when the future is dropped is left undone.
    pub(crate) async fn ready(&self) {
        let (heard, done) = oneshot::channel();
        if self.orders.send(Order::Ready(heard)).is_ok() {
            let _ = done.await;
        }
    }

    /// Asks the process to end: SIGTERM.
    pub(crate) fn terminate(&self) {
        let _ = self.orders.send(Order::Terminate);
    }

    /// Kills the process, and its group if it leads one.
    pub(crate) fn kill(&self) {
        let _ = self.orders.send(Order::Kill);
    }

    /// Lets go of the process, which lives on without this host.
    pub(crate) async fn leave(&self) {
        let (left, done) = oneshot::channel();
        if self.orders.send(Order::Leave(left)).is_ok() {
            let _ = done.await;
        }
    }
}

impl ProcessEnd {
    /// How the process ended, if it has.
    pub(crate) fn now(&self) -> Option<ExitReason> {
        *self.0.borrow()
    }

    /// Resolves when the process has ended and been reaped.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) async fn wait(mut self) -> ExitReason {
        match self.0.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(ExitReason::Unknown),
            // The task that watches is gone, and with it the process: the runtime is shutting down.
            Err(_) => ExitReason::Unknown,
        }
    }
}

/// Owns what runs until it has ended. It is signalled only from here, so that no signal can reach a stranger who got the
/// number of a process that had been reaped.
///
/// What remains comes first, to be removed last, also where the runtime drops this.
async fn watch_over(
    remains: RemovedInTheEnd,
    mut running: impl Running,
    when_dropped: WhenDropped,
    mut orders: mpsc::UnboundedReceiver<Order>,
    ended: watch::Sender<Option<ExitReason>>,
    feed: Arc<Feed>,
) {
    let reason = loop {
        tokio::select! {
            reason = running.wait() => break reason,
            order = orders.recv() => match order {
                Some(Order::Ready(mut heard)) => tokio::select! {
                    () = running.ready() => drop(heard.send(())),
                    () = heard.closed() => {}
                },
                Some(Order::Terminate) => running.terminate().await,
                Some(Order::Kill) => running.kill().await,
                Some(Order::Leave(left)) => {
                    remains.keep();
                    running.leave().await;
                    let _ = left.send(());
                    return;
                }
                // Nobody holds the handle any more.
                None if when_dropped == WhenDropped::Leave => return,
                None => {
                    running.kill().await;
                    break running.wait().await;
                }
            },
        }
    };
    drop(remains);
    // Followers first: whoever has waited for the end finds the event told.
    feed.event(Event::Exited { reason });
    ended.send_replace(Some(reason));
}
