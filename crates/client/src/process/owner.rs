//! The owner of a plugin's process: one task that waits for the process, sends all signals to it, and cleans up after it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rpcplugin_core::Pid;
use rpcplugin_transport::SocketDir;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument as _, Span};

use super::{
    runner::PluginProcess,
    socket_cleanup::{AnnouncedSocket, RemoveOnDrop, SocketCleanup},
};
use crate::{
    exit::ExitReason,
    observe::{event::Event, fan_out::FanOut},
    os::Signal,
};

/// The handle of a process that a task owns.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    id: Arc<str>,
    pid: Option<Pid>,
    on_drop: OnDrop,
    requests: mpsc::UnboundedSender<Request>,
    output: OutputTasks,
    exited: watch::Receiver<Option<ExitReason>>,
    /// Cancelled when the process has exited.
    exit_token: CancellationToken,
    /// As `exited`, but set only when the output of the process has been read.
    finished: watch::Receiver<Option<ExitReason>>,
    sockets: SocketCleanup,
}

/// The exit of a process, to be waited for by any number of tasks. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ProcessExit(watch::Receiver<Option<ExitReason>>);

/// The fate of a process whose handle is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDrop {
    /// The process is killed. This host started it.
    Kill,
    /// The process runs on. Another program started it.
    Leave,
}

/// Tasks that read the process's stdout and stderr. The process task owns them, so that output is drained even after
/// the handle is dropped.
#[derive(Debug, Clone, Default)]
struct OutputTasks {
    tasks: Arc<Mutex<Vec<OutputTask>>>,
    /// Cancelled when no further task will be added. A process can exit before its first task is added.
    complete: CancellationToken,
}

type OutputTask = AbortOnDropHandle<io::Result<()>>;

#[derive(Debug)]
enum Request {
    Ready(oneshot::Sender<()>),
    Terminate,
    Kill,
    Leave(oneshot::Sender<()>),
}

impl ProcessHandle {
    /// Starts the task that owns the process, within the plugin's span. After the exit of the process, its [output
    /// tasks](Self::read_output) have the time `drain_timeout` to read the rest, and then as long as the handle is
    /// held.
    pub(crate) fn own(
        process: impl PluginProcess,
        on_drop: OnDrop,
        drain_timeout: Duration,
        fan_out: &Arc<FanOut>,
        span: &Span,
    ) -> Self {
        let (id, pid) = (process.id().into(), process.pid());
        let (requests, received) = mpsc::unbounded_channel();
        let (report_exit, exited) = watch::channel(None);
        let (report_finish, finished) = watch::channel(None);
        let (output, sockets) = (OutputTasks::default(), SocketCleanup::default());
        let exit_token = CancellationToken::new();
        let owner = Owner {
            sockets: sockets.remove_on_drop(),
            on_drop,
            drain_timeout,
            output: output.clone(),
            exited: report_exit,
            exit_token: exit_token.clone(),
            fan_out: Arc::clone(fan_out),
        };
        let owning = owner.run(process, received).instrument(span.clone());
        tokio::spawn(async move {
            // The span is released before `finished` resolves: the host may flush its telemetry right after.
            let Some(End { reason, mut requests, unread }) = owning.await else { return };
            report_finish.send_replace(Some(reason));
            // A process that the plugin left behind holds the pipes open, or a subscriber is slow to take the output.
            if let Some(unread) = unread {
                tokio::select! {
                    () = unread => {}
                    () = async { while requests.recv().await.is_some() {} } => {}
                }
            }
        });
        Self { id, pid, on_drop, requests, output, exited, exit_token, finished, sockets }
    }

    /// Adds a task that reads output of the process and ends when there is no more.
    pub(crate) fn read_output(&self, task: OutputTask) {
        self.output.lock().push(task);
    }

    /// Declares that no further output task will be added, so that [`finished`](Self::finished) waits for those that
    /// were.
    pub(crate) fn output_is_complete(&self) {
        self.output.complete.cancel();
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    pub(crate) fn is_killed_on_drop(&self) -> bool {
        self.on_drop == OnDrop::Kill
    }

    /// Returns `signal` if this host can send it to the process. A process that another program started is signalled
    /// only if its pid is known.
    pub(crate) fn reached_by(&self, signal: Signal) -> Option<Signal> {
        (self.is_killed_on_drop() || self.pid.is_some()).then_some(signal)
    }

    /// The exit of the process, if it has exited.
    pub(crate) fn exit_reason(&self) -> Option<ExitReason> {
        self.exit().now()
    }

    /// Resolves when the process has exited and has been reaped. Its last output may not have been read.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) fn exited(&self) -> impl Future<Output = ExitReason> + Send + use<> {
        self.exit().wait()
    }

    /// Returns a token that is cancelled when the process has exited.
    pub(crate) fn exit_token(&self) -> CancellationToken {
        self.exit_token.clone()
    }

    /// Resolves when the process has exited, and its output has been read as far as the drain timeout allows.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) fn finished(&self) -> impl Future<Output = ExitReason> + Send + use<> {
        self.finish().wait()
    }

    /// As [`finished`](Self::finished), for code that does not hold the handle.
    pub(crate) fn finish(&self) -> ProcessExit {
        ProcessExit(self.finished.clone())
    }

    /// As [`exited`](Self::exited), for code that does not hold the handle.
    pub(crate) fn exit(&self) -> ProcessExit {
        ProcessExit(self.exited.clone())
    }

    /// Has the socket that the plugin announced removed after the exit.
    pub(crate) fn remove_socket(&self, socket: AnnouncedSocket) {
        self.sockets.add(socket);
    }

    /// Has the directory of the plugin's sockets removed after the exit.
    pub(crate) fn remove_dir(&self, dir: &SocketDir) {
        self.sockets.add_dir(dir.clone());
    }

    /// Lets the process do what [`PluginProcess::ready`] does, and waits for it.
    ///
    /// # Cancel safety
    /// Dropping the future gives up what is not done yet.
    pub(crate) async fn ready(&self) {
        let (done, is_done) = oneshot::channel();
        if self.requests.send(Request::Ready(done)).is_ok() {
            let _ = is_done.await;
        }
    }

    /// Asks the process to end: SIGTERM.
    pub(crate) fn terminate(&self) {
        let _ = self.requests.send(Request::Terminate);
    }

    /// Kills the process, and its group if it leads one.
    pub(crate) fn kill(&self) {
        let _ = self.requests.send(Request::Kill);
    }

    /// Lets the process run on without this host.
    pub(crate) async fn leave(&self) {
        let (left, is_left) = oneshot::channel();
        if self.requests.send(Request::Leave(left)).is_ok() {
            let _ = is_left.await;
        }
    }
}

impl ProcessExit {
    /// An exit without a process, and the sender that reports it.
    #[cfg(test)]
    pub(crate) fn channel() -> (watch::Sender<Option<ExitReason>>, Self) {
        let (report, exit) = watch::channel(None);
        (report, Self(exit))
    }

    /// The exit of the process, if it has exited.
    pub(crate) fn now(&self) -> Option<ExitReason> {
        self.0.borrow().clone()
    }

    /// Resolves when the process has exited.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) async fn wait(mut self) -> ExitReason {
        match self.0.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(ExitReason::Unknown),
            // The owning task is gone, and the process with it: the runtime is shutting down.
            Err(_) => ExitReason::Unknown,
        }
    }
}

impl OutputTasks {
    /// Resolves when no further task will be added and all tasks have ended.
    async fn finish(self) {
        self.complete.cancelled().await;
        loop {
            let Some(task) = self.lock().pop() else { return };
            let _ = task.await;
        }
    }

    /// Lets the tasks read on for as long as this host runs.
    fn leave(&self) {
        for task in self.lock().drain(..) {
            drop(task.detach());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<OutputTask>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ProcessHandle {
    fn drop(&mut self) {
        self.output_is_complete();
    }
}

/// The exit of a process that the owner did not leave running.
struct End {
    reason: ExitReason,
    requests: mpsc::UnboundedReceiver<Request>,
    /// The rest of the reading, if the drain timeout was too short for it.
    unread: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// The state of the owning task. All signals are sent from this task, and none after the process was reaped, so that
/// no signal can reach another process that got the same pid.
///
/// The sockets are removed after the process is dropped, also where the runtime drops the task: [`run`](Self::run)
/// takes the owner first and the process second, and arguments are dropped in reverse order.
struct Owner {
    sockets: RemoveOnDrop,
    on_drop: OnDrop,
    drain_timeout: Duration,
    output: OutputTasks,
    exited: watch::Sender<Option<ExitReason>>,
    exit_token: CancellationToken,
    fan_out: Arc<FanOut>,
}

impl Owner {
    /// Owns the process until it has exited, and reports the exit. `None` if the process was left running.
    async fn run(
        self,
        mut process: impl PluginProcess,
        mut requests: mpsc::UnboundedReceiver<Request>,
    ) -> Option<End> {
        let reason = loop {
            tokio::select! {
                reason = process.wait() => break reason,
                request = requests.recv() => match request {
                    Some(Request::Ready(mut done)) => tokio::select! {
                        () = process.ready() => drop(done.send(())),
                        () = done.closed() => {}
                    },
                    Some(Request::Terminate) => process.terminate().await,
                    Some(Request::Kill) => process.kill().await,
                    Some(Request::Leave(left)) => {
                        self.sockets.keep();
                        self.output.leave();
                        process.leave().await;
                        let _ = left.send(());
                        return None;
                    }
                    // The handle has been dropped.
                    None if self.on_drop == OnDrop::Leave => return None,
                    None => {
                        process.kill().await;
                        break process.wait().await;
                    }
                },
            }
        };
        drop(self.sockets);
        self.exited.send_replace(Some(reason.clone()));
        self.exit_token.cancel();
        let mut unread: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(self.output.finish());
        let is_all_read = timeout(self.drain_timeout, &mut unread).await.is_ok();
        // Before `finished` resolves, so that a caller that waited for it finds the event published.
        self.fan_out.event(Event::Exited { reason: reason.clone() });
        Some(End { reason, requests, unread: (!is_all_read).then_some(unread) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::observe::fan_out::{PluginTopics, Topics};

    /// A process that has exited before it is owned.
    struct Exited;

    impl PluginProcess for Exited {
        fn id(&self) -> String {
            String::new()
        }

        async fn wait(&mut self) -> ExitReason {
            ExitReason::Status(1)
        }

        async fn terminate(&mut self) {}

        async fn kill(&mut self) {}
    }

    fn own_exited() -> ProcessHandle {
        let fan_out = FanOut::new("p", 1, Vec::new(), Arc::new(Topics::new()), Arc::new(PluginTopics::new()));
        ProcessHandle::own(Exited, OnDrop::Kill, Duration::from_secs(1), &Arc::new(fan_out), &Span::none())
    }

    #[tokio::test(start_paused = true)]
    async fn an_output_task_that_is_added_after_the_exit_is_waited_for() {
        let process = own_exited();
        assert_eq!(process.exited().await, ExitReason::Status(1));
        // The owning task has had every chance to go on.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let read = Arc::new(AtomicBool::new(false));
        let reading = Arc::clone(&read);
        process.read_output(AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            reading.store(true, Ordering::Relaxed);
            Ok(())
        })));
        process.output_is_complete();
        process.finished().await;
        assert!(read.load(Ordering::Relaxed), "the finish was reported before all was read");
    }

    #[tokio::test(start_paused = true)]
    async fn missing_output_tasks_delay_the_finish_by_the_drain_timeout_at_most() {
        let process = own_exited();
        let begun = tokio::time::Instant::now();
        process.finished().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
    }
}
