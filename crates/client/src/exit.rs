//! The exit of a process and the end of a plugin.

use std::{fmt, process::ExitStatus, time::Duration};

use crate::os::{self, Signal};

/// The end of a plugin after the host asked it to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// The process exited by itself with status 0.
    Clean,
    /// The process ended by itself in another way.
    Failed(ExitReason),
    /// The process ended by itself. Its exit status is unknown because it is not a child of this host.
    Ended,
    /// The plugin was left running. Another program or a person ends it.
    Detached,
    /// The process still runs after SIGKILL, for example in uninterruptible I/O. Or its pid is unknown, so that it
    /// could not be killed. What remains is to end it by hand. A child of this host is waited for in the background,
    /// and reaped.
    StillRunning,
    /// The process did not exit when it was asked to, and a signal of the host ended it.
    Killed {
        /// SIGKILL, or SIGTERM where that is configured and was enough.
        signal: Signal,
        /// The time from the request until the process ended.
        after: Duration,
    },
}

/// The exit status of a process, or the signal that ended it.
///
/// Windows has no signals. There a process that this host killed ended by SIGKILL, and a process that was asked to end and
/// did not handle that ended by SIGTERM. A process that crashed has a status of the system, such as 0xC0000005.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// The process exited with this status.
    Status(i32),
    /// This signal ended the process.
    Signal(Signal),
    /// The exit status is not known: the process was not a child of this host, or the runner does not report it.
    Unknown,
}

impl Exit {
    /// Classifies the end of a process that was asked to end. `sent` is the last signal of the host, if the request
    /// alone was not enough. A plugin that exits by itself at the last moment has not been killed.
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
        match (os::signal_of(status), status.code()) {
            (Some(signal), _) => Self::Signal(signal),
            (None, Some(code)) => Self::Status(code),
            (None, None) => Self::Unknown,
        }
    }
}

/// `exit status 3`, or `signal 9 (SIGKILL: killed by another process, or by the system because memory ran out)`.
impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => match os::describe_status(*status) {
                Some(described) => write!(f, "exit status {described}"),
                None => write!(f, "exit status {status}"),
            },
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

/// `ended cleanly`, or `had to be killed with SIGKILL after 2003 ms`. The alternate form has no time.
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

    #[test]
    fn only_the_hosts_own_signals_count_as_killing() {
        let after = Duration::from_millis(5);
        let (kill, term) = (Some(Signal::KILL), Some(Signal::TERM));
        for (reason, sent, exit) in [
            (ExitReason::Status(0), kill, Exit::Clean),
            (ExitReason::Status(3), kill, Exit::Failed(ExitReason::Status(3))),
            (ExitReason::Signal(Signal::KILL), kill, Exit::Killed { signal: Signal::KILL, after }),
            (ExitReason::Signal(Signal::KILL), None, Exit::Failed(ExitReason::Signal(Signal::KILL))),
            (ExitReason::Signal(Signal::SEGV), kill, Exit::Failed(ExitReason::Signal(Signal::SEGV))),
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
    fn signals_are_shown_by_name() {
        assert_eq!(ExitReason::Status(3).to_string(), "exit status 3");
        assert_eq!(ExitReason::Signal(Signal::TERM).to_string(), "signal 15 (SIGTERM)");
        assert!(ExitReason::Signal(Signal::KILL).to_string().contains("memory ran out"));
        assert_eq!(ExitReason::Signal(Signal::new(99)).to_string(), "signal 99");
        assert!(ExitReason::Status(0).is_success() && !ExitReason::Signal(Signal::KILL).is_success());
    }
}
