//! Signals, as go-plugin's plugins treat them, and better.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::ending::{Cause, Ending};

/// Ends the plugin on SIGTERM and SIGHUP, and swallows SIGINT unless told otherwise.
///
/// A Ctrl-C in a terminal reaches a go-plugin host and all its plugins at once; it is for the host to decide what ends. SIGINT
/// is caught rather than ignored, so that programs which the plugin starts get their default back. SIGHUP that is ignored from
/// the start, as by `nohup`, stays ignored.
///
/// # Protocol
/// go-plugin `server.go` `Serve` swallows SIGINT. Differs: SIGTERM and SIGHUP end a Go plugin at once, with its socket left.
///
/// # Errors
/// When the signals cannot be caught.
pub(crate) fn watch(
    ending: &Ending,
    ignore_sigint: bool,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = if ignores(SignalKind::hangup()) { None } else { Some(signal(SignalKind::hangup())?) };
    let ending = ending.clone();
    Ok(async move {
        let mut interrupts = 0_u32;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                () = next(&mut hang_up) => break,
                _ = interrupt.recv() => {
                    if !ignore_sigint {
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

/// Resolves with the next signal, and never for one that stays ignored.
async fn next(caught: &mut Option<Signal>) {
    match caught {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether this process ignores a signal. Where there is no `/proc` none is taken to be ignored.
fn ignores(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}
