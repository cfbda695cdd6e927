//! The numbers and names of signals. Windows has no signals of processes. The numbers are those of its C runtime, and that
//! of SIGKILL is the same on every Unix.

use std::borrow::Cow;

/// A process that was killed as this library kills, with [`KILLED`](super::exit_status::KILLED).
pub(in crate::os) const KILL: i32 = 9;
/// A process that ended because of Ctrl-C, Ctrl-Break or the closing of its console.
pub(in crate::os) const TERM: i32 = 15;
pub(in crate::os) const ABORT: i32 = 22;
pub(in crate::os) const SEGV: i32 = 11;

// A process cannot be stopped by a signal. No signal has these numbers.
pub(in crate::os) const STOP: i32 = -1;
pub(in crate::os) const TSTP: i32 = -2;
pub(in crate::os) const TTIN: i32 = -3;
pub(in crate::os) const TTOU: i32 = -4;

/// The name of the signal with this number.
pub(in crate::os) fn name(number: i32) -> Option<Cow<'static, str>> {
    let name = match number {
        2 => "SIGINT",
        4 => "SIGILL",
        8 => "SIGFPE",
        KILL => "SIGKILL",
        SEGV => "SIGSEGV",
        TERM => "SIGTERM",
        21 => "SIGBREAK",
        ABORT => "SIGABRT",
        _ => return None,
    };
    Some(name.into())
}
