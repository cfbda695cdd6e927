//! What programs in the place of a plugin need of Unix, and Windows has in another form or does not have.

use std::{future::pending, io};

use rpcplugin::host::{Pid, Signal};

use super::interrupt::Interruptions;

/// The host of this process. On Windows hosts end their plugins by jobs, and nothing is to be watched.
#[derive(Debug)]
pub(crate) struct HostExit;

impl HostExit {
    pub(crate) fn watch() -> Self {
        Self
    }

    /// Never resolves.
    pub(crate) async fn exited(&self) {
        pending().await
    }
}

/// Ctrl-C and Ctrl-Break, which the console sends to the plugin as well. They do not act on this process once this value exists.
#[derive(Debug)]
pub(crate) struct PassedSignals(Interruptions);

impl PassedSignals {
    /// Installs the handlers.
    pub(crate) fn catch() -> io::Result<Self> {
        Interruptions::new().map(Self)
    }

    /// Resolves when the console has sent one of these. Cancel safe.
    pub(crate) async fn next(&mut self) -> Signal {
        self.0.any().await;
        Signal::TERM
    }
}

/// Does nothing: Windows has no signals.
pub(crate) fn send_signal(_: Pid, _: Signal) {}

/// Does nothing: Windows has no signals.
pub(crate) fn end_by(_: Signal) {}

/// Does nothing: Windows has no zombies.
pub(crate) async fn all_children_reaped() {}

/// Does nothing: Windows has no such limit.
pub(crate) fn allow_many_descriptors() {}

/// Does nothing: hosts on Windows read the pipe until this process ends.
pub(crate) fn close_stdout() {}
