//! Child processes: how they are started.

use std::{io, os::windows::process::CommandExt as _, path::Path};

use rpcplugin_core::Pid;
use tokio::process::Child;
use windows_sys::Win32::{
    Foundation::{
        ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH, ERROR_INVALID_EXE_SIGNATURE,
        ERROR_SHARING_VIOLATION,
    },
    System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED},
};

use crate::os::signal::Signal;

/// Whether the system refused to execute a file because it does not know the format.
pub(crate) fn is_unknown_format(error: &io::Error) -> bool {
    let unknown = [ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH, ERROR_INVALID_EXE_SIGNATURE];
    code_of(error).is_some_and(|code| unknown.contains(&code))
}

/// Whether the system refused to execute a file because a process has it open: an installer that writes it, or a scanner
/// that reads it.
pub(crate) fn is_busy(error: &io::Error) -> bool {
    code_of(error) == Some(ERROR_SHARING_VIOLATION)
}

/// Makes the started process the leader of a new group of its console, which Ctrl-C does not reach. The process is
/// suspended until [`ProcessTree::over`](super::ProcessTree::over) has put it into a job.
pub(crate) fn lead_group(command: &mut std::process::Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED);
}

/// Starts the process. A bare name, which is not in `PATH`, fails: the standard library would look for it in the
/// directories of the host and of the system.
pub(crate) fn spawn(command: &mut tokio::process::Command) -> io::Result<Child> {
    if !Path::new(command.as_std().get_program()).is_absolute() {
        return Err(io::ErrorKind::NotFound.into());
    }
    command.spawn()
}

/// Does nothing: a program is called by its path.
pub(crate) fn argument_zero(_: &mut std::process::Command, _: &Path) {}

/// Does nothing: the handle of a child keeps its exit status.
pub(crate) fn collect_exit_statuses() {}

/// The signal that has stopped a child. No signal stops a process here.
pub(crate) fn stopped_by(_: Pid) -> Option<Signal> {
    None
}

fn code_of(error: &io::Error) -> Option<u32> {
    error.raw_os_error().map(i32::cast_unsigned)
}
