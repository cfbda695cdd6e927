//! A program that a shell suspends with Ctrl-Z, and continues.

use std::io;

use rustix::process::{self, getpgrp, kill_process_group};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell asks of its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobControl {
    Suspend,
    Continued,
}

/// SIGTSTP and SIGCONT of this process. SIGTSTP does not suspend the process once this value exists.
#[derive(Debug)]
pub(crate) struct JobControls {
    stop: Signal,
    cont: Signal,
}

impl JobControls {
    /// Installs the signal handlers.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { stop: signal(SignalKind::from_raw(TSTP))?, cont: signal(SignalKind::from_raw(CONT))? })
    }

    /// Resolves with the next signal. A signal that arrived between two calls is not lost. Cancel safe.
    pub(crate) async fn next(&mut self) -> JobControl {
        tokio::select! {
            _ = self.stop.recv() => JobControl::Suspend,
            _ = self.cont.recv() => JobControl::Continued,
        }
    }
}

/// Sends SIGTSTP to the process group of this process, as a terminal does for Ctrl-Z.
pub(crate) fn ask_to_suspend() {
    // Without the signal the program goes on.
    let _ = kill_process_group(getpgrp(), process::Signal::TSTP);
}

/// Suspends this process until it is continued.
pub(crate) fn suspend() {
    let _ = signal_hook::low_level::emulate_default_handler(TSTP);
}

const TSTP: i32 = process::Signal::TSTP.as_raw();
const CONT: i32 = process::Signal::CONT.as_raw();
