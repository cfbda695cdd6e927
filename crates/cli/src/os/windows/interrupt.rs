//! What asks this program to end.

use std::io;

use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

/// Ctrl-C, Ctrl-Break, and the end of the console. Once this value exists these no longer end the process at once, so that everything it
/// has started is dropped and cleaned up. The system leaves a few seconds for that after the end of the console.
#[derive(Debug)]
pub(crate) struct Interruptions {
    interrupt: CtrlC,
    terminate: CtrlBreak,
    close: CtrlClose,
}

impl Interruptions {
    /// Installs the handlers.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_break()?, close: ctrl_close()? })
    }

    /// Resolves with the next of these. One that arrived between two calls is not lost. Cancel safe.
    pub(crate) async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.close.recv() => {}
        }
    }
}
