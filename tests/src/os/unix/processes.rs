//! Signals to processes, and how processes end by them.

use std::io;

use rpcplugin::host::{self, ExitReason};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// The end of a process that [`kill`] ended.
pub(crate) const KILLED: ExitReason = ExitReason::Signal(host::Signal::KILL);

/// Whether the process exists. A reaped process does not.
pub(crate) fn exists(pid: impl Into<u32>) -> bool {
    raw(pid.into()).is_ok_and(|pid| test_kill_process(pid).is_ok())
}

/// Ends a process with SIGKILL.
pub(crate) fn kill(pid: impl Into<u32>) -> io::Result<()> {
    send(pid.into(), Signal::KILL)
}

/// Asks a process to end: SIGTERM.
pub(crate) fn terminate(pid: impl Into<u32>) -> io::Result<()> {
    send(pid.into(), Signal::TERM)
}

/// Interrupts a process as Ctrl-C does: SIGINT.
pub(crate) fn interrupt(pid: impl Into<u32>) -> io::Result<()> {
    send(pid.into(), Signal::INT)
}

/// Stops a process with SIGSTOP, and waits until none of its threads runs.
pub(crate) fn suspend(pid: impl Into<u32>) -> io::Result<()> {
    crate::support::process::suspend(pid)
}

/// Lets a suspended process go on.
pub(crate) fn resume(pid: impl Into<u32>) -> io::Result<()> {
    send(pid.into(), Signal::CONT)
}

fn send(pid: u32, signal: Signal) -> io::Result<()> {
    Ok(kill_process(raw(pid)?, signal)?)
}

fn raw(pid: u32) -> io::Result<Pid> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no such process"))
}
