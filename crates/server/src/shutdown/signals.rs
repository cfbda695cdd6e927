//! Shutting down on signals.

use std::io;

use super::handle::{Shutdown, ShutdownCause};
use crate::os::{ReceivedSignal, Signals};

/// Shuts the plugin down on SIGTERM and SIGHUP, and on SIGINT unless `ignore_sigint`.
///
/// Ctrl-C in a terminal sends SIGINT to a host and all its plugins at once. Only the host decides what ends then. SIGINT is
/// caught and not ignored, because programs that the plugin starts would inherit an ignored signal. SIGHUP stays ignored if
/// the plugin was started so, for example by `nohup`.
///
/// On Windows, Ctrl-C stands for SIGINT, and Ctrl-Break, the closed window and the shutdown of the system for SIGTERM.
///
/// # Protocol
/// go-plugin `server.go` `Serve` swallows SIGINT. Differs: SIGTERM and SIGHUP end a Go plugin at once, and its socket stays.
///
/// # Errors
/// When the signals cannot be caught.
pub(super) fn watch(
    shutdown: &Shutdown,
    ignore_sigint: bool,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = Signals::catch()?;
    let shutdown = shutdown.clone();
    Ok(async move {
        let mut interrupts = 0_u32;
        loop {
            let signal = tokio::select! {
                signal = signals.next() => signal,
                () = shutdown.begun() => return,
            };
            if signal != ReceivedSignal::Interrupt || !ignore_sigint {
                break;
            }
            interrupts += 1;
            tracing::trace!(count = interrupts, "plugin received interrupt signal, ignoring");
        }
        shutdown.begin(ShutdownCause::Signal);
    })
}
