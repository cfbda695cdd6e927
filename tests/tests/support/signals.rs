//! Signals as a program at a terminal has them, for the processes that a test starts.

use std::sync::Once;

use tokio::signal::unix::{SignalKind, signal};

/// Lets the processes that this one starts from now on have the default for each signal that this one ignores.
///
/// A job in the background ignores SIGINT and SIGQUIT, one under `nohup` SIGHUP, and what they start inherits that. A
/// handler is not inherited, and changes nothing for a process that ignored the signal anyway. Needs a tokio runtime.
pub(crate) fn not_ignored() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for number in ignored() {
            // Some, such as SIGKILL, can have no handler, and cannot be ignored either.
            if let Ok(handled) = signal(SignalKind::from_raw(number)) {
                drop(handled);
            }
        }
    });
}

/// The numbers of the signals that this process ignores, where the system says.
fn ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    // SIGPIPE is ignored by every program in Rust, and is the default again in what it starts.
    (1..=31).filter(|number| *number != 13 && mask >> (number - 1) & 1 == 1).collect()
}
