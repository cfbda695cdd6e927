//! Signals, as go-plugin's plugins treat them, and better.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::ending::{Cause, Ending};

/// Ends the plugin on SIGTERM, and swallows SIGINT unless told otherwise.
///
/// A Ctrl-C in a terminal reaches the host and all its plugins at once; it is for the host to decide what ends. SIGINT
/// is caught rather than ignored, so that programs which the plugin starts get their default back.
///
/// # Protocol
/// go-plugin `server.go` `Serve` swallows SIGINT. Differs: SIGTERM ends a Go plugin at once, with its socket left.
///
/// # Errors
/// When the signals cannot be caught.
pub(crate) fn watch(
    ending: &Ending,
    ignore_interrupt: bool,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let ending = ending.clone();
    Ok(async move {
        let mut interrupts = 0_u32;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => {
                    if !ignore_interrupt {
                        break;
                    }
                    interrupts += 1;
                    tracing::trace!(count = interrupts, "plugin received interrupt signal, ignoring");
                }
                () = ending.begun() => return,
            }
        }
        ending.begin(Cause::Signal);
    })
}
