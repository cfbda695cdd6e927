//! How a plugin ended.

use std::{fmt, process::ExitStatus, time::Duration};

use crate::os::{self, Signal};

/// How a plugin ended after the host had asked it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// By itself, with status 0.
    Clean,
    /// By itself, in another way.
    Failed(ExitReason),
    /// By itself, and nobody knows with which status: it was not a process of this host.
    Ended,
    /// It has not: it is somebody else's, and goes on without this host.
    Detached,
    /// It has not, although the host did what it can: it is not known which process it is, so that it could not be
    /// killed, or the system does not let go of it, as of one that waits for a device. What is left is to end it by hand. A
    /// process that this host started is waited for in the background, and reaped.
    StillRunning,
    /// It did not end when it was asked to, and a signal of the host ended it.
    Killed {
        /// The signal: SIGKILL, or SIGTERM where that is configured and was enough.
        signal: Signal,
        /// How long it had been asked to end.
        after: Duration,
    },
}

/// The status or signal with which a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// It exited with this status.
    Status(i32),
    /// This signal ended it.
    Signal(Signal),
    /// Nobody could tell: the process was not this one's child, or a runner does not know.
    Unknown,
}

impl Exit {
    /// What the end of a process means after it had been asked for, with the last of the host's signals where asking was
    /// not enough. A plugin that ends by itself at the last moment has not been killed.
    pub(crate) fn after_asking(reason: ExitReason, sent: Option<Signal>, after: Duration) -> Self {
        match (reason, sent) {
            (reason, _) if reason.is_success() => Self::Clean,
            (ExitReason::Signal(signal @ (Signal::KILL | Signal::TERM)), Some(_)) => {
                Self::Killed { signal, after }
            }
            (ExitReason::Unknown, Some(sent)) => Self::Killed { signal: sent, after },
            (ExitReason::Unknown, None) => Self::Ended,
            (reason, _) => Self::Failed(reason),
        }
    }
}

impl ExitReason {
    /// Whether the process exited with status 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Status(0)
    }

    /// The signal that ended the process, if a signal did.
    #[must_use]
    pub fn signal(self) -> Option<Signal> {
        match self {
            Self::Signal(signal) => Some(signal),
            _ => None,
        }
    }
}

impl From<ExitStatus> for ExitReason {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), os::signal_of(status)) {
            (Some(code), _) => Self::Status(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

/// `exit status 3`, or `signal 9 (SIGKILL: killed by someone, or by the system for want of memory)`.
impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => {
                write!(f, "signal {}", signal.number())?;
                let Some(name) = signal.name() else { return Ok(()) };
                match &*name {
                    "SIGKILL" => {
                        write!(
                            f,
                            " ({name}: killed by another process, or by the system because memory ran out)"
                        )
                    }
                    "SIGSEGV" | "SIGBUS" => write!(f, " ({name}: access to memory that is not its own)"),
                    "SIGABRT" => write!(f, " ({name}: ended itself after a fault that it found)"),
                    "SIGSYS" => write!(f, " ({name}: a system call that a sandbox forbids)"),
                    name => write!(f, " ({name})"),
                }
            }
            Self::Unknown => f.write_str("in an unknown way"),
        }
    }
}

/// `ended cleanly`, or `had to be killed with SIGKILL after 2003 ms`; the alternate form leaves the time out.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("ended cleanly"),
            Self::Failed(reason) => write!(f, "ended with {reason}"),
            Self::Ended => f.write_str("ended"),
            Self::Detached => f.write_str("goes on without this host"),
            Self::StillRunning => f.write_str("still runs, and could not be killed: end it by hand"),
            Self::Killed { signal, after } => {
                write!(f, "had to be killed with {signal}")?;
                if f.alternate() { Ok(()) } else { write!(f, " after {} ms", after.as_millis()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGV: Signal = Signal::new(11);

    #[test]
    fn only_the_hosts_own_signals_count_as_killing() {
        let after = Duration::from_millis(5);
        let (kill, term) = (Some(Signal::KILL), Some(Signal::TERM));
        for (reason, sent, exit) in [
            (ExitReason::Status(0), kill, Exit::Clean),
            (ExitReason::Status(3), kill, Exit::Failed(ExitReason::Status(3))),
            (ExitReason::Signal(Signal::KILL), kill, Exit::Killed { signal: Signal::KILL, after }),
            (ExitReason::Signal(Signal::KILL), None, Exit::Failed(ExitReason::Signal(Signal::KILL))),
            (ExitReason::Signal(SEGV), kill, Exit::Failed(ExitReason::Signal(SEGV))),
            (ExitReason::Unknown, term, Exit::Killed { signal: Signal::TERM, after }),
            (ExitReason::Unknown, None, Exit::Ended),
        ] {
            assert_eq!(Exit::after_asking(reason, sent, after), exit);
        }
        let killed = Exit::Killed { signal: Signal::KILL, after };
        assert_eq!(killed.to_string(), "had to be killed with SIGKILL after 5 ms");
        assert_eq!(format!("{killed:#}"), "had to be killed with SIGKILL");
    }

    #[test]
    fn speaks_of_signals_by_name() {
        assert_eq!(ExitReason::Status(3).to_string(), "exit status 3");
        assert_eq!(ExitReason::Signal(Signal::TERM).to_string(), "signal 15 (SIGTERM)");
        assert!(ExitReason::Signal(Signal::KILL).to_string().contains("memory ran out"));
        assert_eq!(ExitReason::Signal(Signal::new(99)).to_string(), "signal 99");
        assert!(ExitReason::Status(0).is_success() && !ExitReason::Signal(Signal::KILL).is_success());
    }
}
