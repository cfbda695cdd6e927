//! Signals by number and by name.

use std::{borrow::Cow, fmt};

#[cfg(unix)]
use super::unix::signals;
#[cfg(windows)]
use super::windows::signals;

/// A signal, by its number on this system. Windows has numbers and names for those that its C runtime knows, and for
/// SIGKILL. The signals that stop a process have numbers there that no signal has.
///
/// [`Display`](fmt::Display) writes the name, such as `SIGKILL`, or the number of a signal without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// Ends a process at once. No process can catch it.
    pub const KILL: Self = Self(signals::KILL);
    /// Asks a process to end.
    pub const TERM: Self = Self(signals::TERM);
    /// A process ended itself after a fault that it found.
    pub const ABORT: Self = Self(signals::ABORT);
    /// Ends a process that touched memory that is not its own.
    pub const SEGV: Self = Self(signals::SEGV);
    /// Stops a process. No process can catch it.
    pub const STOP: Self = Self(signals::STOP);
    /// Stops a process at the request of the terminal.
    pub const TSTP: Self = Self(signals::TSTP);
    /// Stops a background process that reads from the terminal.
    pub const TTIN: Self = Self(signals::TTIN);
    /// Stops a background process that changes the terminal.
    pub const TTOU: Self = Self(signals::TTOU);

    /// The signal with this number.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The signal's number on this system.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The signal's name, such as `SIGKILL` or `SIGRTMIN+6`. `None` for a number that is not a signal of this system.
    #[must_use]
    pub fn name(self) -> Option<Cow<'static, str>> {
        signals::name(self.0)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(&name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_names_of_their_numbers() {
        for (signal, name) in [
            (Signal::KILL, "SIGKILL"),
            (Signal::TERM, "SIGTERM"),
            (Signal::ABORT, "SIGABRT"),
            (Signal::SEGV, "SIGSEGV"),
        ] {
            assert_eq!(signal.to_string(), name);
        }
        let unknown = Signal::new(99);
        assert_eq!((unknown.name(), unknown.to_string().as_str()), (None, "signal 99"));
    }
}
