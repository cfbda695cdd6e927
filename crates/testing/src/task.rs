//! The task of a plugin, in the place of a process.

use rpcplugin_client::{ExitReason, PluginProcess, Signal};
use rpcplugin_server::{Shutdown, ShutdownCause};
use tokio::{sync::watch, task::JoinError};
use tokio_util::task::AbortOnDropHandle;

/// The task of a plugin that [`InProcess`](crate::InProcess) has started. Dropping it aborts the task.
#[derive(Debug)]
pub struct InProcessTask {
    task: AbortOnDropHandle<ExitReason>,
    /// How the task ended.
    end: Option<ExitReason>,
    /// Shuts the plugin down, once the plugin listens.
    shutdown: watch::Receiver<Option<Shutdown>>,
}

impl InProcessTask {
    pub(crate) fn new(
        task: AbortOnDropHandle<ExitReason>,
        shutdown: watch::Receiver<Option<Shutdown>>,
    ) -> Self {
        Self { task, end: None, shutdown }
    }
}

impl PluginProcess for InProcessTask {
    fn id(&self) -> String {
        format!("task {}", self.task.abort_handle().id())
    }

    async fn wait(&mut self) -> ExitReason {
        if let Some(end) = &self.end {
            return end.clone();
        }
        let end = (&mut self.task).await.unwrap_or_else(|error| exit_reason(&error));
        self.end.insert(end).clone()
    }

    async fn terminate(&mut self) {
        let shutdown = self.shutdown.borrow().clone();
        match shutdown {
            Some(shutdown) => shutdown.begin(ShutdownCause::Signal),
            // A process that has not caught the signal yet ends at once.
            None => self.task.abort(),
        }
    }

    async fn kill(&mut self) {
        self.task.abort();
    }
}

/// The end of a process that panics outside of its handlers, or is killed.
fn exit_reason(error: &JoinError) -> ExitReason {
    if error.is_panic() { ExitReason::Status(PANICKED) } else { ExitReason::Signal(Signal::KILL) }
}

/// The status of a Rust program whose main thread panics.
const PANICKED: i32 = 101;
