//! Processes, and jobs in place of process groups.

use std::{
    ffi::OsString,
    io,
    os::windows::{
        io::{AsHandle as _, OwnedHandle},
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use rpcplugin::host::{ExitReason, Pid};
use tokio::process::Child;

use super::kernel::{self, Job};

/// A signal that can end a process. Windows has the last one alone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StopSignal {
    Interrupt,
    Terminate,
    Kill,
}

/// A child process in a job of its own, which has all that the process starts. Dropping this ends the job.
///
/// What the process starts before it is in the job, within the first moments of its life, is not in the job.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    /// Ends its processes when it is closed.
    _job: Job,
    leader: OwnedHandle,
    pid: Pid,
    _child: Child,
}

impl ProcessGroup {
    /// Starts a process. Returns its pipes by way of `take`.
    pub(crate) fn spawn<T>(
        mut command: Command,
        take: impl FnOnce(&mut Child) -> T,
    ) -> io::Result<(Self, T)> {
        let job = Job::new()?;
        // Ctrl-C at the console of this program does not reach the process.
        command.creation_flags(kernel::NEW_PROCESS_GROUP);
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
        let leader = kernel::handle(&child).ok_or_else(|| io::Error::other("the process has no handle"))?;
        let leader = leader.try_clone_to_owned()?;
        job.add(leader.as_handle())?;
        let pid = child.id().and_then(Pid::new).ok_or_else(|| io::Error::other("the process has no pid"))?;
        let taken = take(&mut child);
        Ok((Self { _job: job, leader, pid, _child: child }, taken))
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Ends the leader with [`StopSignal::Kill`].
    ///
    /// # Errors
    /// Fails with [`Unsupported`](io::ErrorKind::Unsupported) for the other signals. Ctrl-C reaches no process of another group, and
    /// Ctrl-Break means SIGINT to a program in Go and SIGTERM to others.
    pub(crate) fn signal(&self, signal: StopSignal) -> io::Result<()> {
        match signal {
            StopSignal::Interrupt => Err(unsupported("Windows has no SIGINT")),
            StopSignal::Terminate => Err(unsupported("Windows has no SIGTERM")),
            StopSignal::Kill => kernel::terminate(self.leader.as_handle()),
        }
    }

    /// Returns how the leader has ended. Other processes of the job may still run.
    pub(crate) fn exit_reason(&self) -> Option<ExitReason> {
        match kernel::exit_code(self.leader.as_handle()) {
            Ok(code) => code.map(|code| ExitStatus::from_raw(code).into()),
            Err(_) => Some(ExitReason::Unknown),
        }
    }
}

/// Fails: Windows has no SIGINT.
pub(crate) fn interrupt(_: Pid) -> io::Result<()> {
    Err(unsupported("Windows has no SIGINT"))
}

/// Whether a process that is not a child of this one is alive.
pub(crate) fn is_alive(pid: Pid) -> bool {
    kernel::open(pid.get()).is_ok_and(|process| matches!(kernel::exit_code(process.as_handle()), Ok(None)))
}

/// Returns the path of the executed file of a process, if this user may ask for it.
pub(crate) fn executable(pid: Pid) -> Option<PathBuf> {
    kernel::image_path(kernel::open(pid.get()).ok()?.as_handle()).ok()
}

/// Fails: there is no shell that starts a program in the background and knows its pid.
pub(crate) fn below_a_parent(_: &Path, _: &[OsString], _: &Path) -> io::Result<Command> {
    Err(unsupported("Windows has no shell that starts the plugin and shows its pid"))
}

fn unsupported(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, text)
}

/// The command that kills a process, for people. Its pid follows.
pub(crate) const HOW_TO_KILL: &str = "taskkill /F /PID";
