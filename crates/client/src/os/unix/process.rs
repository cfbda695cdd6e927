//! Child processes: how they are started, and how they ended.

use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::ExitStatus,
    sync::Once,
};

use rpcplugin_core::Pid;
use rustix::{
    io::Errno,
    process::{Signal as RawSignal, WaitId, WaitIdOptions, waitid},
};
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
};

use super::raw_pid::raw;
use crate::os::{signal::Signal, system};

/// Whether the system refused to execute a file because it does not know the format.
pub(crate) fn is_unknown_format(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NOEXEC)
}

/// Whether the system refused to execute a file because a process has it open for writing.
pub(crate) fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ExecutableFileBusy
}

/// Makes the started process the leader of a new group.
pub(crate) fn lead_group(command: &mut std::process::Command) {
    command.process_group(0);
}

/// Starts the process.
pub(crate) fn spawn(command: &mut tokio::process::Command) -> io::Result<Child> {
    command.spawn()
}

/// Sets the name by which the started program is called.
pub(crate) fn argument_zero(command: &mut std::process::Command, name: &Path) {
    command.arg0(name);
}

/// The signal that ended a process, if a signal did.
pub(crate) fn signal_of(status: ExitStatus) -> Option<Signal> {
    status.signal().map(Signal::new)
}

/// An exit status as text, if the number alone would not be understood: it always is.
pub(crate) fn describe_status(_: i32) -> Option<String> {
    None
}

/// The signal that has stopped a child of this process, if the child is stopped.
pub(crate) fn stopped_by(child: Pid) -> Option<Signal> {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(raw(child)?), options).ok().flatten()?.stopping_signal().map(Signal::new)
}

/// Makes sure that exit statuses can be collected even if this process inherited SIGCHLD as ignored.
///
/// With SIGCHLD ignored, the kernel reaps children by itself: their exit statuses are lost, and a pid can pass to another
/// process while it is still taken for the plugin's.
pub(crate) fn collect_exit_statuses() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if !system::ignores(RawSignal::CHILD.as_raw()) {
            return;
        }
        // A handler of any kind ends that, and stays installed.
        match signal(SignalKind::child()) {
            Ok(_) => {
                tracing::debug!("SIGCHLD was ignored; it is handled from now on, to collect exit statuses")
            }
            Err(error) => tracing::warn!(%error, "SIGCHLD is ignored: exit statuses of plugins are lost"),
        }
    });
}
