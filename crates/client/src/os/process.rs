//! Child processes, process groups and signals to them.

use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::ExitStatus,
    sync::Once,
};

use rpcplugin_core::Pid;
use rustix::io::Errno;
use rustix::process::{
    self as sys, WaitId, WaitIdOptions, getpgid, kill_process, kill_process_group, waitid,
};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    raw_pid::raw,
    signal::Signal,
    system::{self, PidHandle},
};

/// A process group, named by the pid of its leader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group(sys::Pid);

/// Watches for the exit of a child and leaves the child unreaped. Until a child is reaped, its pid and the number of
/// its group cannot be given to another process, so that what the child left in the group can be killed.
#[derive(Debug)]
pub(crate) enum ExitWatch {
    /// The pidfd becomes readable when the process exits.
    Pidfd(PidHandle),
    /// Without pidfds: SIGCHLD, which arrives when any child exits.
    Child(sys::Pid, tokio::signal::unix::Signal),
}

impl Group {
    /// The group that the process with this pid leads.
    pub(crate) fn of(leader: Pid) -> Option<Self> {
        raw(leader).map(Self)
    }

    /// Spawns a process that belongs to the group.
    pub(crate) fn spawn(self, command: &mut tokio::process::Command) -> io::Result<Child> {
        command.process_group(self.0.as_raw_nonzero().get()).spawn()
    }

    /// Sends SIGKILL to every process of the group.
    pub(crate) fn kill(self) {
        let _ = kill_process_group(self.0, sys::Signal::KILL);
    }
}

impl ExitWatch {
    pub(crate) fn of(child: Pid) -> Option<Self> {
        PidHandle::open(child).map(Self::Pidfd).or_else(|| Self::by_signal(child))
    }

    fn by_signal(child: Pid) -> Option<Self> {
        let exits = signal(SignalKind::child()).ok()?;
        Some(Self::Child(raw(child)?, exits))
    }

    /// Resolves when the process has exited.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(crate) async fn exited(&mut self) {
        match self {
            Self::Pidfd(handle) => handle.exited().await,
            Self::Child(pid, exits) => {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                // An error means that the process has been reaped.
                while let Ok(None) = waitid(WaitId::Pid(*pid), options) {
                    if exits.recv().await.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

/// Spawns a process that leads a group of its own.
pub(crate) fn spawn_leader(command: &mut tokio::process::Command) -> io::Result<Child> {
    command.process_group(0).spawn()
}

/// Whether the system refused because this process may not do it. Joining a group fails so when there is no such
/// group any more, or when it belongs to another session.
pub(crate) fn is_not_permitted(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::PERM)
}

/// Whether the system refused to execute a file because it does not know the format.
pub(crate) fn is_unknown_format(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NOEXEC)
}

/// Makes the started process the leader of a new group.
pub(crate) fn lead_group(command: &mut std::process::Command) {
    command.process_group(0);
}

/// Sets the name by which the started program is called.
pub(crate) fn argument_zero(command: &mut std::process::Command, name: &Path) {
    command.arg0(name);
}

/// The signal that ended a process, if a signal did.
pub(crate) fn signal_of(status: ExitStatus) -> Option<Signal> {
    status.signal().map(Signal::new)
}

/// The signal that has stopped a child of this process, if the child is stopped.
pub(crate) fn stopped_by(child: Pid) -> Option<Signal> {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(raw(child)?), options).ok().flatten()?.stopping_signal().map(Signal::new)
}

/// Sends a signal to a process that has not been reaped, and to the whole group where the process leads one.
pub(crate) fn signal_process(pid: Pid, leads_group: bool, signal: Signal) -> io::Result<()> {
    let (Some(pid), Some(signal)) = (raw(pid), sys::Signal::from_named_raw(signal.number())) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let group = leads_group.then(|| kill_process_group(pid, signal));
    // The process may have moved to another group. If it has not, a second SIGTERM could mean to it that it is urgent.
    let is_reached = group == Some(Ok(())) && getpgid(Some(pid)) == Ok(pid);
    if is_reached && signal != sys::Signal::KILL { Ok(()) } else { Ok(kill_process(pid, signal)?) }
}

/// Makes sure that exit statuses can be collected even if this process inherited SIGCHLD as ignored.
///
/// With SIGCHLD ignored, the kernel reaps children by itself: their exit statuses are lost, and a pid can pass to another
/// process while it is still taken for the plugin's.
pub(crate) fn collect_exit_statuses() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if !system::ignores(sys::Signal::CHILD.as_raw()) {
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

#[cfg(test)]
mod tests {
    use std::{process::Stdio, time::Duration};

    use super::*;

    #[tokio::test]
    async fn an_exit_is_noticed_and_the_child_is_left_to_be_reaped() {
        for by_signal in [false, true] {
            let mut child = tokio::process::Command::new("/bin/cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .expect("it is there");
            let pid = child.id().and_then(Pid::new).expect("it runs");
            let send = |signal| kill_process(raw(pid).expect("a pid"), signal);
            let watch = if by_signal { ExitWatch::by_signal(pid) } else { ExitWatch::of(pid) };
            let mut watch = watch.expect("it can be watched");
            let early = tokio::time::timeout(Duration::from_millis(20), watch.exited()).await;
            assert!(early.is_err(), "it runs");
            send(sys::Signal::STOP).expect("it is ours");
            while stopped_by(pid).is_none() {
                tokio::task::yield_now().await;
            }
            assert_eq!(stopped_by(pid), Some(Signal::STOP), "asking changes nothing");
            send(sys::Signal::CONT).expect("it is ours");
            drop(child.stdin.take());
            watch.exited().await;
            watch.exited().await;
            assert_eq!(stopped_by(pid), None);
            assert!(child.id().is_some() && send(sys::Signal::CONT).is_ok(), "it is not reaped");
            assert!(child.wait().await.expect("it is ours").success());
        }
    }
}
