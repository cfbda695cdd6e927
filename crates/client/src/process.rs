//! The handle of a plugin's process: watched, signalled from one place only, and never left behind.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rpcplugin_transport::SocketDir;
use rustix::process::Signal;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
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
    readers: Readers,
    ended: watch::Receiver<Option<ExitReason>>,
    /// The same, but only when what it printed has been read.
    finished: watch::Receiver<Option<ExitReason>>,
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

/// The tasks that read what a process prints. The task that watches the process owns them, so that its last lines are read
/// even when the handle is dropped.
#[derive(Debug, Clone, Default)]
struct Readers {
    tasks: Arc<Mutex<Vec<Reader>>>,
    /// Cancelled when no further reader comes. A process can end before its first reader is there.
    complete: CancellationToken,
}

type Reader = AbortOnDropHandle<io::Result<()>>;

#[derive(Debug)]
enum Order {
    Ready(oneshot::Sender<()>),
    Terminate,
    Kill,
    Leave(oneshot::Sender<()>),
}

impl Process {
    /// Watches a process from now on, within the span of its life. When the process has ended, its [readers](Self::read)
    /// have the time `drain` to read what it printed, and then as long as the handle is held.
    pub(crate) fn watch(
        running: impl Running,
        when_dropped: WhenDropped,
        drain: Duration,
        feed: &Arc<Feed>,
        life: &Span,
    ) -> Self {
        let (id, pid) = (running.id().into(), running.pid());
        let (orders, received) = mpsc::unbounded_channel();
        let (tell_ended, ended) = watch::channel(None);
        let (tell_finished, finished) = watch::channel(None);
        let readers = Readers::default();
        let remains = Remains::default();
        let told = Told { ended: tell_ended, feed: Arc::clone(feed) };
        let watching = watch_over(
            remains.removed_in_the_end(),
            running,
            when_dropped,
            drain,
            received,
            readers.clone(),
            told,
        );
        let watching = watching.instrument(life.clone());
        tokio::spawn(async move {
            // The span is let go of before `finished` resolves: the host may flush its telemetry right after.
            let Some(End { reason, mut orders, reading }) = watching.await else { return };
            tell_finished.send_replace(Some(reason));
            // A process that this one left behind holds the pipes, or a follower is slow to take what was printed.
            if let Some(reading) = reading {
                tokio::select! {
                    () = reading => {}
                    () = async { while orders.recv().await.is_some() {} } => {}
                }
            }
        });
        Self { id, pid, when_dropped, orders, readers, ended, finished, remains }
    }

    /// Hands over a task that reads what the process prints and ends when there is no more.
    pub(crate) fn read(&self, reader: Reader) {
        self.readers.lock().push(reader);
    }

    /// No further reader comes: [`finished`](Self::finished) waits for those that are there, and not for others.
    pub(crate) fn no_more_readers(&self) {
        self.readers.complete.cancel();
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

    /// Resolves when the process has ended and been reaped. Its last words may not have been read.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) fn end(&self) -> impl Future<Output = ExitReason> + Send + use<> {
        self.exits().wait()
    }

    /// Resolves when the process has ended, and what it printed has been read as far as the time for that allows.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) fn finished(&self) -> impl Future<Output = ExitReason> + Send + use<> {
        self.finishes().wait()
    }

    /// The end of the process with its last words, for those who do not hold it.
    pub(crate) fn finishes(&self) -> ProcessEnd {
        ProcessEnd(self.finished.clone())
    }

    /// The end of the process for those who do not hold it.
    pub(crate) fn exits(&self) -> ProcessEnd {
        ProcessEnd(self.ended.clone())
    }

    /// Has the socket that the process may leave behind removed when it is gone.
    pub(crate) fn may_leave(&self, socket: NamedSocket) {
        self.remains.add(socket);
    }

    /// Has the directory of its sockets removed when the process is gone.
    pub(crate) fn uses(&self, dir: &SocketDir) {
        self.remains.add_dir(dir.clone());
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
    /// The end of no process, and how to tell it.
    #[cfg(test)]
    pub(crate) fn told() -> (watch::Sender<Option<ExitReason>>, Self) {
        let (tell, told) = watch::channel(None);
        (tell, Self(told))
    }

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

impl Readers {
    /// Resolves when no further reader comes and all have read what there is.
    async fn finish(self) {
        self.complete.cancelled().await;
        loop {
            let Some(reader) = self.lock().pop() else { return };
            let _ = reader.await;
        }
    }

    /// They read on for as long as this host lives.
    fn leave(&self) {
        for reader in self.lock().drain(..) {
            drop(reader.detach());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.no_more_readers();
    }
}

/// Where the end of a process is reported.
struct Told {
    ended: watch::Sender<Option<ExitReason>>,
    feed: Arc<Feed>,
}

/// The end of a process that was not left to itself.
struct End {
    reason: ExitReason,
    orders: mpsc::UnboundedReceiver<Order>,
    /// The rest of the reading, if there was no time for it.
    reading: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Owns what runs until it has ended. It is signalled only from here, so that no signal can reach a stranger who got the
/// number of a process that had been reaped.
///
/// What remains comes first, to be removed last, also where the runtime drops this.
async fn watch_over(
    remains: RemovedInTheEnd,
    mut running: impl Running,
    when_dropped: WhenDropped,
    drain: Duration,
    mut orders: mpsc::UnboundedReceiver<Order>,
    readers: Readers,
    told: Told,
) -> Option<End> {
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
                    readers.leave();
                    running.leave().await;
                    let _ = left.send(());
                    return None;
                }
                // Nobody holds the handle any more.
                None if when_dropped == WhenDropped::Leave => return None,
                None => {
                    running.kill().await;
                    break running.wait().await;
                }
            },
        }
    };
    drop(remains);
    told.ended.send_replace(Some(reason));
    let mut reading: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(readers.finish());
    let is_all_read = timeout(drain, &mut reading).await.is_ok();
    // Before `finished` resolves: a caller that has waited for the end finds the event told.
    told.feed.event(Event::Exited { reason });
    Some(End { reason, orders, reading: (!is_all_read).then_some(reading) })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::feed::{OwnTopics, Topics};

    /// A process that has ended before it is watched.
    struct Over;

    impl Running for Over {
        fn id(&self) -> String {
            String::new()
        }

        async fn wait(&mut self) -> ExitReason {
            ExitReason::Status(1)
        }

        async fn terminate(&mut self) {}

        async fn kill(&mut self) {}
    }

    fn watch_over_nothing() -> Process {
        let feed = Feed::new("p", 1, Vec::new(), Arc::new(Topics::new()), Arc::new(OwnTopics::new()));
        Process::watch(Over, WhenDropped::Kill, Duration::from_secs(1), &Arc::new(feed), &Span::none())
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_comes_after_the_end_is_waited_for() {
        let process = watch_over_nothing();
        assert_eq!(process.end().await, ExitReason::Status(1));
        // The watching task has had every chance to go on.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let read = Arc::new(AtomicBool::new(false));
        let reading = Arc::clone(&read);
        process.read(AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            reading.store(true, Ordering::Relaxed);
            Ok(())
        })));
        process.no_more_readers();
        process.finished().await;
        assert!(read.load(Ordering::Relaxed), "the end was told before all was read");
    }

    #[tokio::test(start_paused = true)]
    async fn readers_that_do_not_come_are_not_waited_for_beyond_the_drain() {
        let process = watch_over_nothing();
        let begun = tokio::time::Instant::now();
        process.finished().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
    }
}
