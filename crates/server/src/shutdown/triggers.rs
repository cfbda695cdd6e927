//! The triggers of a shutdown outside the plugin: signals, the exit of the host, the shutdown file, the absence of hosts.

use std::{io, path::PathBuf};

use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span};

use super::{
    file,
    handle::Shutdown,
    host_exit,
    orphaned::{self, OrphanTimeout},
    signals,
};
use crate::os::Parent;

/// The tasks that watch for a reason to shut down. Dropping this ends the tasks.
pub(crate) struct Triggers {
    shutdown: Shutdown,
    runtime: Handle,
    /// The span of the plugin's life, in which the tasks run.
    span: Span,
    /// The host that launched the plugin.
    host: Option<Parent>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl Triggers {
    /// Watches for nothing yet. The tasks run on `runtime`. If `exit_with_host`, the parent of this process is from now on
    /// the host whose exit counts: create this before anything that takes time.
    pub(crate) fn new(shutdown: Shutdown, runtime: Handle, span: Span, exit_with_host: bool) -> Self {
        let host = {
            let _runtime = runtime.enter();
            exit_with_host.then(Parent::current)
        };
        Self { shutdown, runtime, span, host, tasks: Vec::new() }
    }

    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Watches for signals.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub(crate) fn watch_signals(&mut self, ignore_sigint: bool) -> io::Result<()> {
        let signals = {
            let _runtime = self.runtime.enter();
            signals::watch(&self.shutdown, ignore_sigint)?
        };
        self.spawn(signals);
        Ok(())
    }

    /// Watches for the shutdown file.
    pub(crate) fn watch_file(&mut self, file: PathBuf) {
        self.spawn(file::watch(file, self.shutdown.clone()));
    }

    /// Watches for the exit of the host, if the plugin is to exit with it.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub(crate) fn watch_host(&mut self) -> io::Result<()> {
        if let Some(host) = self.host.take() {
            self.spawn(host_exit::watch(&self.shutdown, host)?);
        }
        Ok(())
    }

    /// Watches whether a host is connected, from now on.
    pub(crate) fn watch_hosts(&mut self, orphan: OrphanTimeout) {
        self.spawn(orphaned::watch(orphan, self.shutdown.clone()));
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.runtime.spawn(task.instrument(self.span.clone()));
        self.tasks.push(AbortOnDropHandle::new(task));
    }
}
