//! The exit of a process and the end of a plugin.

use std::{fmt, process::ExitStatus, sync::Arc, time::Duration};

use crate::{
    os::{self, Signal},
    quoted::Shown,
};

/// The end of a plugin after the host asked it to end.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// The process exited with this status.
    Status(i32),
    /// This signal ended the process.
    Signal(Signal),
    /// The exit status is not known: the process was not a child of this host, or the runner does not report it.
    Unknown,
    /// The runner knows more than a status: the engine or the cluster ended the process, or never started it.
    Reported(ExitReport),
}

/// The end of a plugin as its [`Runner`](crate::Runner) reports it: the cause, and the explanation of the engine or the
/// cluster. For ends that a status does not explain. A process that exits by itself has an
/// [`ExitReason::Status`] in a container too.
///
/// ```
/// use rpcplugin_client::{ExitCause, ExitReason, ExitReport};
///
/// let report = ExitReport::new(ExitCause::OutOfMemory, "the limit of the container is 32 MiB").status(137);
/// assert_eq!(
///     ExitReason::from(report).to_string(),
///     "out of memory, exit status 137: the limit of the container is 32 MiB"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitReport {
    /// The cause.
    pub cause: ExitCause,
    /// The exit status, if the process had one. Engines add 128 to the number of a signal.
    pub status: Option<i32>,
    /// The explanation, on one line.
    pub message: Arc<str>,
}

/// The cause of an end that the plugin did not choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitCause {
    /// The system killed the process because its memory limit was reached.
    OutOfMemory,
    /// The node that runs the plugin evicted it, for example because the node was short of memory or disk.
    Evicted,
    /// The container or the pod was deleted from outside. Neither the plugin nor this host ended it.
    Removed,
    /// The engine accepted the plugin and could not start its process, for example because the program is not in the
    /// image.
    StartFailed,
    /// The process used up the processor time that its sandbox allows.
    CpuTime,
    /// The process wrote a larger file than its sandbox allows.
    FileSize,
    /// Another cause, which the message names.
    Other,
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
    pub fn is_success(&self) -> bool {
        *self == Self::Status(0)
    }

    /// The signal that ended the process, if a signal did.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        match self {
            Self::Signal(signal) => Some(*signal),
            _ => None,
        }
    }

    /// The exit status, if the process exited with one or the runner reports one.
    #[must_use]
    pub fn status(&self) -> Option<i32> {
        match self {
            Self::Status(status) => Some(*status),
            Self::Reported(report) => report.status,
            _ => None,
        }
    }

    /// The report of the runner, if there is one.
    #[must_use]
    pub fn report(&self) -> Option<&ExitReport> {
        match self {
            Self::Reported(report) => Some(report),
            _ => None,
        }
    }

    /// The exit with its cause, if the process ran into a limit of its sandbox that a signal stands for. `ran_out` is whether the
    /// kernel has counted a kill for want of memory in the control group of the process.
    #[cfg(feature = "sandbox")]
    pub(crate) fn at_limits_of(self, sandbox: Option<&rpcplugin_sandbox::Sandbox>, ran_out: bool) -> Self {
        let Some(limits) = sandbox.map(rpcplugin_sandbox::Sandbox::resource_limits) else { return self };
        let signal = self.signal().and_then(Signal::name);
        if let (Some("SIGKILL"), true, Some(bytes)) = (signal.as_deref(), ran_out, limits.total_memory) {
            let message =
                format!("the limit of the sandbox is {bytes} bytes for the plugin and all that it starts");
            return ExitReport::new(ExitCause::OutOfMemory, message).into();
        }
        match (signal.as_deref(), limits.cpu_time, limits.file_size) {
            (Some("SIGXCPU"), Some(time), _) => {
                let message = format!("the limit of the sandbox is {} s", time.as_secs_f64());
                ExitReport::new(ExitCause::CpuTime, message).into()
            }
            (Some("SIGXFSZ"), _, Some(bytes)) => {
                ExitReport::new(ExitCause::FileSize, format!("the limit of the sandbox is {bytes} bytes"))
                    .into()
            }
            _ => self,
        }
    }

    /// Help for a cause that the runner reports.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        self.report().map(|report| report.cause.advice())
    }
}

impl ExitReport {
    /// A report without an exit status. Line breaks in the message become spaces, other control characters are escaped,
    /// and a message of more than 600 characters is cut.
    #[must_use]
    pub fn new(cause: ExitCause, message: impl AsRef<str>) -> Self {
        let line = message.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { cause, status: None, message: Shown(&line, LONGEST_MESSAGE).to_string().into() }
    }

    /// Adds the exit status of the process.
    #[must_use]
    pub fn status(mut self, status: i32) -> Self {
        self.status = Some(status);
        self
    }
}

impl ExitCause {
    /// The name of the cause in facts and logs: `out_of_memory`, `evicted`, `removed`, `start_failed`, `cpu_time`,
    /// `file_size` or `other`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfMemory => "out_of_memory",
            Self::Evicted => "evicted",
            Self::Removed => "removed",
            Self::StartFailed => "start_failed",
            Self::CpuTime => "cpu_time",
            Self::FileSize => "file_size",
            Self::Other => "other",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::OutOfMemory => {
                "raise the memory limit of the plugin in its runner or in its sandbox, or let the plugin use less memory"
            }
            Self::Evicted => {
                "launch the plugin again; request the memory and the disk space that it uses, so that it is not evicted first"
            }
            Self::Removed => {
                "launch the plugin again, and find the program or the person that deletes its container or pod"
            }
            Self::StartFailed => {
                "correct what the message names, in the image or in the settings of the runner"
            }
            Self::CpuTime => "raise `Limits::cpu_time` in the sandbox, or let the plugin use less",
            Self::FileSize => {
                "raise `Limits::file_size` in the sandbox, or let the plugin write smaller files"
            }
            Self::Other => "correct what the message of the runner names",
        }
    }
}

impl From<ExitReport> for ExitReason {
    fn from(report: ExitReport) -> Self {
        Self::Reported(report)
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
            Self::Reported(report) => write!(f, "{report}"),
        }
    }
}

/// `out of memory, exit status 137: the limit of the container is 32 MiB`.
impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if let Some(status) = self.status {
            write!(f, ", exit status {status}")?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfMemory => "out of memory",
            Self::Evicted => "evicted",
            Self::Removed => "deleted from outside",
            Self::StartFailed => "the process could not be started",
            Self::CpuTime => "out of processor time",
            Self::FileSize => "a file became too large",
            Self::Other => "ended by its runner",
        })
    }
}

/// `ended cleanly`, or `had to be killed with SIGKILL after 2003 ms`. The alternate form has no time.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("ended cleanly"),
            Self::Failed(ExitReason::Reported(report)) => write!(f, "ended: {report}"),
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

/// The limit of a runner's message, in characters.
const LONGEST_MESSAGE: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "sandbox")]
    #[test]
    fn an_exit_at_a_limit_of_the_sandbox_has_its_cause() {
        use rpcplugin_sandbox::{Limits, Sandbox};

        let sandbox = Sandbox::new().limits(Limits::new().total_memory(1 << 20));
        let cause = |sandbox: Option<&Sandbox>, signal: Signal, ran_out| {
            let reason = ExitReason::Signal(signal).at_limits_of(sandbox, ran_out);
            reason.report().map(|report| (report.cause, report.message.clone()))
        };
        let (found, message) = cause(Some(&sandbox), Signal::KILL, true).expect("a cause");
        assert_eq!(found, ExitCause::OutOfMemory);
        assert!(message.contains("1048576 bytes"), "{message}");
        assert_eq!(cause(Some(&sandbox), Signal::KILL, false), None, "killed by another process");
        assert_eq!(cause(Some(&sandbox), Signal::SEGV, true), None);
        assert_eq!(cause(Some(&Sandbox::new()), Signal::KILL, true), None);
        assert_eq!(cause(None, Signal::KILL, true), None);
    }

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
            (out_of_memory().into(), kill, Exit::Failed(out_of_memory().into())),
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

    fn out_of_memory() -> ExitReport {
        ExitReport::new(ExitCause::OutOfMemory, "the limit is 32 MiB").status(137)
    }

    #[test]
    fn reports_are_shown_on_one_line_and_are_no_success() {
        let reason = ExitReason::from(out_of_memory());
        assert_eq!(reason.to_string(), "out of memory, exit status 137: the limit is 32 MiB");
        assert_eq!(Exit::Failed(reason.clone()).to_string(), format!("ended: {reason}"));
        assert_eq!((reason.status(), reason.signal(), reason.is_success()), (Some(137), None, false));
        let removed = ExitReport::new(ExitCause::Removed, "").status(0);
        assert_eq!(removed.to_string(), "deleted from outside, exit status 0");
        assert!(!ExitReason::from(removed).is_success());
        let long = ExitReport::new(ExitCause::Other, format!("a\n\tb \u{1b}[31m{}", "x".repeat(1000)));
        assert!(long.message.starts_with("a b \\u{1b}[31mxx") && long.message.ends_with('…'), "{long}");
        assert_eq!(long.message.chars().filter(|c| *c == 'x').count(), LONGEST_MESSAGE - 9);
    }
}
