//! Process groups.

use std::io;

use rpcplugin_core::Pid;
use rustix::{
    io::Errno,
    process::{self as sys, getpgid, kill_process, kill_process_group},
};
use tokio::process::{Child, Command};

use super::raw_pid::raw;
use crate::os::signal::Signal;

/// A process group, named by the pid of its leader.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group(sys::Pid);

impl Group {
    /// The group that the process with this pid leads.
    pub(super) fn of(leader: Pid) -> Option<Self> {
        raw(leader).map(Self)
    }

    /// Spawns a process that belongs to the group.
    pub(super) fn spawn(self, command: &mut Command) -> io::Result<Child> {
        command.process_group(self.0.as_raw_nonzero().get()).spawn()
    }

    /// Sends SIGKILL to every process of the group.
    pub(super) fn kill(self) {
        let _ = kill_process_group(self.0, sys::Signal::KILL);
    }
}

/// Spawns a process that leads a group of its own.
pub(super) fn spawn_leader(command: &mut Command) -> io::Result<Child> {
    command.process_group(0).spawn()
}

/// Whether the system refused because this process may not do it. Joining a group fails so when there is no such
/// group any more, or when it belongs to another session.
pub(super) fn is_not_permitted(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::PERM)
}

/// Sends a signal to a process that has not been reaped, and to the whole group where the process leads one.
pub(super) fn signal_process(pid: Pid, leads_group: bool, signal: Signal) -> io::Result<()> {
    let (Some(pid), Some(signal)) = (raw(pid), sys::Signal::from_named_raw(signal.number())) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let group = leads_group.then(|| kill_process_group(pid, signal));
    // The process may have moved to another group. If it has not, a second SIGTERM could mean to it that it is urgent.
    let is_reached = group == Some(Ok(())) && getpgid(Some(pid)) == Ok(pid);
    if is_reached && signal != sys::Signal::KILL { Ok(()) } else { Ok(kill_process(pid, signal)?) }
}
