//! A plugin's process that a runner started.

use std::{io, time::Duration};

use rpcplugin::host::{ExitReason, Pid, PluginProcess as _};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    os::{StopSignal, interrupt},
    runner::AnyProcess,
};

/// A process that a runner started, with the task that owns it. Dropping this ends the process.
#[derive(Debug)]
pub(super) struct RunnerProcess {
    id: String,
    pid: Option<Pid>,
    report_delay: Duration,
    requests: mpsc::UnboundedSender<Request>,
    exited: watch::Receiver<Option<ExitReason>>,
    owner: JoinHandle<()>,
}

#[derive(Debug)]
enum Request {
    Terminate,
    Kill,
}

impl RunnerProcess {
    pub(super) fn own(process: AnyProcess) -> Self {
        let (id, pid, report_delay) = (process.id(), process.pid(), process.report_delay());
        let (requests, received) = mpsc::unbounded_channel();
        let (report, exited) = watch::channel(None);
        let owner = tokio::spawn(own(process, received, report));
        Self { id, pid, report_delay, requests, exited, owner }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The longest time from an exit until the runner reports it.
    pub(super) fn report_delay(&self) -> Duration {
        self.report_delay
    }

    pub(super) fn exit_reason(&self) -> Option<ExitReason> {
        self.exited.borrow().clone()
    }

    /// Sends a signal, if the runner can send it.
    pub(super) fn signal(&self, signal: StopSignal) -> io::Result<()> {
        let request = match signal {
            StopSignal::Terminate => Request::Terminate,
            StopSignal::Kill => Request::Kill,
            StopSignal::Interrupt => {
                let text = "--runner was given: a runner sends no SIGINT";
                let unsupported = || io::Error::new(io::ErrorKind::Unsupported, text);
                let pid = self.pid.filter(|_| self.exit_reason().is_none()).ok_or_else(unsupported)?;
                return interrupt(pid);
            }
        };
        // A process that has exited gets no signal.
        let _ = self.requests.send(request);
        Ok(())
    }
}

/// Owns the process until it has exited, and keeps it until this task is dropped.
async fn own(
    mut process: AnyProcess,
    mut requests: mpsc::UnboundedReceiver<Request>,
    report: watch::Sender<Option<ExitReason>>,
) {
    loop {
        tokio::select! {
            reason = process.wait() => {
                report.send_replace(Some(reason));
                break;
            }
            request = requests.recv() => match request {
                Some(Request::Terminate) => process.terminate().await,
                Some(Request::Kill) => process.kill().await,
                None => return,
            },
        }
    }
    report.closed().await;
}

impl Drop for RunnerProcess {
    fn drop(&mut self) {
        self.owner.abort();
    }
}
