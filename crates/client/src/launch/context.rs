//! The state that the steps of one launch share.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, interval_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span};

use crate::{
    error::HandshakeFault,
    host::Host,
    observe::{event::Event, fan_out::FanOut},
    os,
    process::owner::ProcessHandle,
    streams::stderr_tail::StderrTail,
};

/// The state that the steps of one launch share.
pub(super) struct Launch<'h, R> {
    pub(super) host: &'h Host,
    pub(super) runner: &'h R,
    pub(super) program: PathBuf,
    pub(super) name: String,
    pub(super) started: Instant,
    /// The time that the whole launch may take.
    pub(super) timeout: Duration,
    /// The moment at which the whole launch has to be complete.
    pub(super) deadline: Instant,
    pub(super) stderr_tail: Arc<StderrTail>,
    pub(super) fan_out: Arc<FanOut>,
    /// The plugin's span, from the launch to the exit.
    pub(super) span: Span,
    /// The lines on stdout that are not the handshake line.
    pub(super) stray_lines: Mutex<Vec<String>>,
    /// What is enforced on the process, if it is confined.
    #[cfg(feature = "sandbox")]
    pub(super) confinement: std::sync::OnceLock<rpcplugin_sandbox::Confinement>,
}

impl<R> Launch<'_, R> {
    /// Spawns a task within the plugin's span.
    pub(super) fn task<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        AbortOnDropHandle::new(tokio::spawn(task.instrument(self.span.clone())))
    }

    /// Whether a line that is not the handshake line may be skipped.
    pub(super) fn may_skip_line(&self) -> bool {
        self.stray_lines.lock().unwrap_or_else(PoisonError::into_inner).len() < self.host.config.stray_lines
    }

    /// Keeps a line that is not the handshake line, for the error.
    pub(super) fn keep_stray_line(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(&line[..line.len().min(LONGEST_STRAY)]).escape_debug().to_string();
        tracing::warn!(parent: None, plugin = self.name, line, "the plugin printed something before its handshake line");
        self.stray_lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Reports at every interval of the configuration that the plugin has not started yet.
    pub(super) async fn report_waiting(&self, process: &ProcessHandle) -> Infallible {
        let every = self.host.config.still_waiting_interval;
        if every.is_zero() {
            return std::future::pending().await;
        }
        let mut ticks = interval_at(self.started + every, every);
        loop {
            ticks.tick().await;
            let elapsed = self.started.elapsed();
            match stopped(process) {
                Some(fault) => {
                    tracing::warn!(parent: None, plugin = self.name, ?elapsed, "the plugin does not start: {fault}");
                }
                None => {
                    tracing::info!(parent: None, plugin = self.name, ?elapsed, "still waiting for the plugin to start");
                }
            }
            self.fan_out.event(Event::StillWaiting { elapsed });
        }
    }
}

/// The fault of a process that is stopped, if it is.
pub(super) fn stopped(process: &ProcessHandle) -> Option<HandshakeFault> {
    // The pid of a process that has exited may belong to another process.
    let pid = process.exit_reason().is_none().then(|| process.pid()).flatten()?;
    os::stopped_by(pid).map(|signal| HandshakeFault::Stopped { signal })
}

/// The longest part of a stray line that is kept, in bytes.
const LONGEST_STRAY: usize = 200;
