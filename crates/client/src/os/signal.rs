//! Signals by number and by name.

use std::{borrow::Cow, fmt};

use nix::libc;

/// A signal, by its number on this system.
///
/// [`Display`](fmt::Display) writes the name, such as `SIGKILL`, or the number of a signal without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// Ends a process at once. No process can catch it.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// Asks a process to end.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// A process ended itself after a fault that it found.
    pub const ABORT: Self = Self(libc::SIGABRT);
    /// Ends a process that touched memory that is not its own.
    pub const SEGV: Self = Self(libc::SIGSEGV);
    /// Stops a process. No process can catch it.
    pub const STOP: Self = Self(libc::SIGSTOP);
    /// Stops a process at the request of the terminal.
    pub const TSTP: Self = Self(libc::SIGTSTP);
    /// Stops a background process that reads from the terminal.
    pub const TTIN: Self = Self(libc::SIGTTIN);
    /// Stops a background process that changes the terminal.
    pub const TTOU: Self = Self(libc::SIGTTOU);

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
        if let Ok(known) = nix::sys::signal::Signal::try_from(self.0) {
            return Some(known.as_str().into());
        }
        match self.0.saturating_sub(FIRST_REAL_TIME) {
            0 if cfg!(target_os = "linux") => Some("SIGRTMIN".into()),
            n @ 1..=30 if cfg!(target_os = "linux") => Some(format!("SIGRTMIN+{n}").into()),
            _ => None,
        }
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

/// The first of Linux's 31 real-time signals as the C library counts them. The two before it belong to the library.
const FIRST_REAL_TIME: i32 = 34;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_names_of_their_numbers() {
        let name = |number| Signal::new(number).name();
        assert_eq!(name(libc::SIGPROF).as_deref(), Some("SIGPROF"));
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
        assert_eq!((name(99), Signal::new(99).to_string().as_str()), (None, "signal 99"));
    }

    #[test]
    fn real_time_signals_are_counted_from_the_first() {
        if cfg!(target_os = "linux") {
            let names = [33, 34, 40, 64, 65].map(|number| Signal::new(number).name());
            let names = names.each_ref().map(Option::as_deref);
            assert_eq!(names, [None, Some("SIGRTMIN"), Some("SIGRTMIN+6"), Some("SIGRTMIN+30"), None]);
        }
    }
}
