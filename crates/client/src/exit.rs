//! How a plugin ended.

use std::{fmt, process::ExitStatus, time::Duration};

use rustix::process::Signal;

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
        signal: i32,
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
    Signal(i32),
    /// Nobody could tell: the process was not this one's child, or a runner does not know.
    Unknown,
}

impl Exit {
    /// What the end of a process means after it had been asked for, with the last of the host's signals where asking was
    /// not enough. A plugin that ends by itself at the last moment has not been killed.
    pub(crate) fn after_asking(reason: ExitReason, sent: Option<Signal>, after: Duration) -> Self {
        match (reason, sent) {
            (reason, _) if reason.is_success() => Self::Clean,
            (ExitReason::Signal(signal), Some(_)) if signal == KILL || signal == TERM => {
                Self::Killed { signal, after }
            }
            (ExitReason::Unknown, Some(sent)) => Self::Killed { signal: sent.as_raw(), after },
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

    /// The signal's name, such as `SIGKILL`, if a signal ended the process.
    #[must_use]
    pub fn signal_name(self) -> Option<&'static str> {
        let Self::Signal(number) = self else { return None };
        let known = SIGNALS.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
        known.or_else(|| {
            let nth = usize::try_from(number.checked_sub(FIRST_REAL_TIME)?).ok()?;
            REAL_TIME.get(nth).copied().filter(|_| cfg!(target_os = "linux"))
        })
    }
}

impl From<ExitStatus> for ExitReason {
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
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
                write!(f, "signal {signal}")?;
                let Some(name) = self.signal_name() else { return Ok(()) };
                match name {
                    "SIGKILL" => {
                        write!(f, " ({name}: killed by someone, or by the system for want of memory)")
                    }
                    "SIGSEGV" | "SIGBUS" => write!(f, " ({name}: it touched memory that is not its own)"),
                    "SIGABRT" => write!(f, " ({name}: it gave up on itself)"),
                    "SIGSYS" => write!(f, " ({name}: a sandbox forbids what it did)"),
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
                let name = ExitReason::Signal(*signal).signal_name().unwrap_or("a signal");
                write!(f, "had to be killed with {name}")?;
                if f.alternate() { Ok(()) } else { write!(f, " after {} ms", after.as_millis()) }
            }
        }
    }
}

const KILL: i32 = Signal::KILL.as_raw();
const TERM: i32 = Signal::TERM.as_raw();

/// The signals that end a process, by the numbers of this platform.
const SIGNALS: &[(i32, &str)] = {
    use Signal as S;
    &[
        (S::HUP.as_raw(), "SIGHUP"),
        (S::INT.as_raw(), "SIGINT"),
        (S::QUIT.as_raw(), "SIGQUIT"),
        (S::ILL.as_raw(), "SIGILL"),
        (S::TRAP.as_raw(), "SIGTRAP"),
        (S::ABORT.as_raw(), "SIGABRT"),
        (S::BUS.as_raw(), "SIGBUS"),
        (S::FPE.as_raw(), "SIGFPE"),
        (S::KILL.as_raw(), "SIGKILL"),
        (S::USR1.as_raw(), "SIGUSR1"),
        (S::SEGV.as_raw(), "SIGSEGV"),
        (S::USR2.as_raw(), "SIGUSR2"),
        (S::PIPE.as_raw(), "SIGPIPE"),
        (S::ALARM.as_raw(), "SIGALRM"),
        (S::TERM.as_raw(), "SIGTERM"),
        (S::XCPU.as_raw(), "SIGXCPU"),
        (S::XFSZ.as_raw(), "SIGXFSZ"),
        (S::VTALARM.as_raw(), "SIGVTALRM"),
        (S::PROF.as_raw(), "SIGPROF"),
        (S::IO.as_raw(), "SIGIO"),
        #[cfg(target_os = "linux")]
        (S::POWER.as_raw(), "SIGPWR"),
        #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
        (S::STKFLT.as_raw(), "SIGSTKFLT"),
        (S::SYS.as_raw(), "SIGSYS"),
    ]
};

/// The first of the real-time signals as the C library counts them. The two before it are its own.
const FIRST_REAL_TIME: i32 = 34;

/// The real-time signals of Linux, from the first one.
const REAL_TIME: [&str; 31] = [
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+16",
    "SIGRTMIN+17",
    "SIGRTMIN+18",
    "SIGRTMIN+19",
    "SIGRTMIN+20",
    "SIGRTMIN+21",
    "SIGRTMIN+22",
    "SIGRTMIN+23",
    "SIGRTMIN+24",
    "SIGRTMIN+25",
    "SIGRTMIN+26",
    "SIGRTMIN+27",
    "SIGRTMIN+28",
    "SIGRTMIN+29",
    "SIGRTMIN+30",
];

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
            (ExitReason::Signal(KILL), kill, Exit::Killed { signal: KILL, after }),
            (ExitReason::Signal(KILL), None, Exit::Failed(ExitReason::Signal(KILL))),
            (ExitReason::Signal(11), kill, Exit::Failed(ExitReason::Signal(11))),
            (ExitReason::Unknown, term, Exit::Killed { signal: TERM, after }),
            (ExitReason::Unknown, None, Exit::Ended),
        ] {
            assert_eq!(Exit::after_asking(reason, sent, after), exit);
        }
        let killed = Exit::Killed { signal: KILL, after };
        assert_eq!(killed.to_string(), "had to be killed with SIGKILL after 5 ms");
        assert_eq!(format!("{killed:#}"), "had to be killed with SIGKILL");
    }

    #[test]
    fn speaks_of_signals_by_name() {
        assert_eq!(ExitReason::Status(3).to_string(), "exit status 3");
        assert_eq!(ExitReason::Signal(15).to_string(), "signal 15 (SIGTERM)");
        assert!(ExitReason::Signal(9).to_string().contains("want of memory"));
        assert_eq!(ExitReason::Signal(Signal::PROF.as_raw()).signal_name(), Some("SIGPROF"));
        assert_eq!(ExitReason::Signal(99).to_string(), "signal 99");
        if cfg!(target_os = "linux") {
            let names = [33, 34, 40, 64, 65].map(|number| ExitReason::Signal(number).signal_name());
            let last = Some("SIGRTMIN+30");
            assert_eq!(names, [None, Some("SIGRTMIN"), Some("SIGRTMIN+6"), last, None]);
        }
        assert!(ExitReason::Status(0).is_success() && !ExitReason::Signal(9).is_success());
    }
}
