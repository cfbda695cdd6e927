//! What asks this process to end.

use std::io;

use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

/// Ctrl-C and Ctrl-Break at the console of this process.
#[derive(Debug)]
pub struct Termination {
    terminate: CtrlBreak,
    interrupt: CtrlC,
}

impl Termination {
    /// Installs the handlers. Needs a tokio runtime.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: ctrl_break()?, interrupt: ctrl_c()? })
    }

    /// Resolves with the next of these.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
