//! The signals that processes of a test inherit as ignored.

use std::sync::Once;

use tokio::signal::unix::{SignalKind, signal};

/// Gives processes that are started from now on the default action for each signal that this process ignores.
///
/// A shell starts background jobs with SIGINT and SIGQUIT ignored, `nohup` starts a program with SIGHUP ignored, and their
/// children inherit that. A handler is not inherited. It changes nothing for this process, which ignored the signal
/// before. Needs a tokio runtime.
pub fn reset_ignored() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for number in ignored() {
            // Signals without handlers, such as SIGKILL, cannot be ignored either.
            if let Ok(handled) = signal(SignalKind::from_raw(number)) {
                drop(handled);
            }
        }
    });
}

/// The numbers of the signals that this process ignores. None where there is no `/proc`.
fn ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    // Every program in Rust ignores SIGPIPE, and resets it in the processes that it starts.
    (1..=31).filter(|number| *number != 13 && mask >> (number - 1) & 1 == 1).collect()
}
