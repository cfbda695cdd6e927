//! The events of the console that end a process: Ctrl-C, Ctrl-Break, the closed window, the shutdown of the system.

use std::io;

use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};

/// Catches Ctrl-C, Ctrl-Break, the closed window and the shutdown of the system for as long as the process lives.
///
/// The log-off of a user is not caught: each log-off, of whichever user, is reported to the services of the machine and to
/// what these have started, and a plugin of a service has to go on.
pub(crate) struct Signals {
    ctrl_c: CtrlC,
    ctrl_break: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

/// An event that was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceivedSignal {
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Break, which is what a host sends, the closed window, or the shutdown of the system.
    Terminate,
}

impl Signals {
    /// Catches the events from now on.
    ///
    /// # Errors
    /// When the system refuses to.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            ctrl_c: ctrl_c()?,
            ctrl_break: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Resolves with the next event.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(crate) async fn next(&mut self) -> ReceivedSignal {
        tokio::select! {
            _ = self.ctrl_break.recv() => ReceivedSignal::Terminate,
            _ = self.close.recv() => ReceivedSignal::Terminate,
            _ = self.shutdown.recv() => ReceivedSignal::Terminate,
            _ = self.ctrl_c.recv() => ReceivedSignal::Interrupt,
        }
    }
}
