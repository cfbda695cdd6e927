//! Ctrl-C, and what else asks this program to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Somebody has asked this program to end.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("interrupted before it was done")]
#[diagnostic(code(rpcplugin::base::interrupted))]
pub(crate) struct Interrupted;

/// What somebody who wants the program to end does. From when this is made on, it ends nothing by itself: what has been
/// started can be dropped in good order.
#[derive(Debug)]
pub(crate) struct Interruptions {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interruptions {
    /// Begins to listen.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves with the next of them, which may have come before this was asked for. Cancelling it loses none.
    pub(crate) async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
