//! A child process, with the group that it leads.

use std::{
    io,
    process::ExitStatus,
    time::{Duration, Instant},
};

use rpcplugin_core::Pid;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::{
    exit_watch::ExitWatch,
    group::signal_process,
    watchdog::{LastWill, Watchdog},
};
use crate::os::signal::Signal;

/// A child process of this host, and the group that it leads. Dropping it kills both.
#[derive(Debug)]
pub(crate) struct ProcessTree {
    child: Child,
    leads_group: bool,
    /// Reports the exit before the process is reaped. Only for a process that leads a group.
    exit: Option<ExitWatch>,
    watchdog: Option<Watchdog>,
    /// Whether dropping this value kills the process.
    kill_on_drop: bool,
}

impl ProcessTree {
    /// Takes over a child that has just been spawned. A process that leads a group and has a last will ends with its
    /// group when this host dies, in any way.
    ///
    /// Never fails on Unix. A child that could not be taken over has ended.
    pub(crate) fn over(child: Child, leads_group: bool, will: Option<LastWill<'_>>) -> io::Result<Self> {
        let mut tree = Self { child, leads_group, exit: None, watchdog: None, kill_on_drop: true };
        if leads_group {
            tree.exit = tree.pid().and_then(ExitWatch::of);
            if let Some(will) = will {
                tree.die_with_host(will);
            }
        }
        Ok(tree)
    }

    /// Starts a watchdog, which ends the process and its group when the host dies. It is started together with the
    /// process: a host can be killed while its plugin starts, and a plugin that never prints its handshake line would
    /// run indefinitely.
    fn die_with_host(&mut self, will: LastWill<'_>) {
        let Some(leader) = self.pid() else { return };
        match Watchdog::over(leader, will) {
            Ok(watchdog) => self.watchdog = Some(watchdog),
            Err(error) => {
                tracing::warn!(plugin.pid = leader.get(), %error, "the plugin will not die with this host");
            }
        }
    }

    /// Takes the child's stderr, which has to be a pipe, and its stdout and stdin if they are pipes. Never fails on Unix.
    pub(crate) fn take_pipes(
        &mut self,
    ) -> io::Result<(Option<ChildStdout>, ChildStderr, Option<ChildStdin>)> {
        let stderr = self.child.stderr.take().expect("stderr was asked to be a pipe");
        Ok((self.child.stdout.take(), stderr, self.child.stdin.take()))
    }

    /// The pid of the child. `None` once it has been reaped.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(Pid::new)
    }

    /// Sends SIGTERM or SIGKILL to the process, and to the whole group that it leads. Without effect once the process
    /// has been reaped: until then the pid and the group belong to it.
    pub(crate) fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        if let Err(error) = signal_process(pid, self.leads_group, signal) {
            tracing::debug!(%error, %signal, "a signal could not be sent");
        }
    }

    /// Waits until the process has exited, kills what it left in its group, and reaps it.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(exit) = &mut self.exit {
            exit.exited().await;
            // The process has not been reaped, so that the number of its group is still its own.
            self.signal(Signal::KILL);
        }
        let status = self.child.wait().await;
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.end_group();
        }
        status
    }

    /// Lets the process run on without this host.
    pub(crate) async fn leave(mut self) {
        self.kill_on_drop = false;
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss().await;
        }
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        // The runtime is shutting down: no task is left that could wait. A killed process is gone within a moment, and
        // waiting for it here keeps it from staying behind as a zombie.
        if !self.kill_on_drop || self.child.id().is_none() {
            return;
        }
        self.signal(Signal::KILL);
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.kill();
        }
        let deadline = Instant::now() + LAST_WAIT;
        let mut remain = || {
            let watchdog_remains = self.watchdog.as_mut().is_some_and(Watchdog::remains);
            matches!(self.child.try_wait(), Ok(None)) || watchdog_remains
        };
        while remain() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The longest wait for the exit in the drop of a process.
const LAST_WAIT: Duration = Duration::from_millis(200);
