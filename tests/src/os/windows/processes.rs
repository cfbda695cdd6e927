//! The end of processes. There are no signals.

use std::{io, os::windows::io::AsHandle as _};

use rpcplugin::host::ExitReason;

use super::{kernel, unsupported};

/// The end of a process that [`kill`] ended.
pub(crate) const KILLED: ExitReason = ExitReason::Status(1);

/// Whether the process runs.
pub(crate) fn exists(pid: impl Into<u32>) -> bool {
    kernel::open(pid.into(), kernel::QUERY).is_ok_and(|process| kernel::runs(process.as_handle()))
}

/// Ends a process with exit code 1.
pub(crate) fn kill(pid: impl Into<u32>) -> io::Result<()> {
    kernel::terminate(kernel::open(pid.into(), kernel::TERMINATE)?.as_handle())
}

/// Fails: there is no SIGTERM.
pub(crate) fn terminate(_: impl Into<u32>) -> io::Result<()> {
    Err(unsupported("Windows has no SIGTERM"))
}

/// Fails: there is no SIGINT.
pub(crate) fn interrupt(_: impl Into<u32>) -> io::Result<()> {
    Err(unsupported("Windows has no SIGINT"))
}

/// Fails: no process can be suspended.
pub(crate) fn suspend(_: impl Into<u32>) -> io::Result<()> {
    Err(unsupported("Windows has no SIGSTOP"))
}

/// Fails: no process can be suspended.
pub(crate) fn resume(_: impl Into<u32>) -> io::Result<()> {
    Err(unsupported("Windows has no SIGCONT"))
}
