//! Processes and process groups.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rpcplugin::host::{ExitReason, Pid, Signal};
use rustix::process::{
    self, WaitId, WaitIdOptions, kill_process, kill_process_group, test_kill_process, waitid,
};
use tokio::process::Child;

/// A signal that can end a process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StopSignal {
    Interrupt,
    Terminate,
    Kill,
}

/// A child process that leads a process group of its own. Dropping this kills the group.
///
/// The child is not reaped before the drop, so that its pid cannot be reused while signals may be sent to it.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    leader: process::Pid,
    /// Kept to be reaped after the drop.
    _child: Child,
}

impl ProcessGroup {
    /// Starts a process. Returns its pipes by way of `take`.
    pub(crate) fn spawn<T>(
        mut command: Command,
        take: impl FnOnce(&mut Child) -> T,
    ) -> io::Result<(Self, T)> {
        command.process_group(0);
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
        let leader = child.id().and_then(Pid::new).and_then(raw);
        let leader = leader.ok_or_else(|| io::Error::other("the process has no pid"))?;
        let taken = take(&mut child);
        Ok((Self { leader, _child: child }, taken))
    }

    pub(crate) fn pid(&self) -> Pid {
        let number = self.leader.as_raw_nonzero().unsigned_abs();
        number.into()
    }

    /// Sends a signal to the leader.
    pub(crate) fn signal(&self, signal: StopSignal) -> io::Result<()> {
        let signal = match signal {
            StopSignal::Interrupt => process::Signal::INT,
            StopSignal::Terminate => process::Signal::TERM,
            StopSignal::Kill => process::Signal::KILL,
        };
        Ok(kill_process(self.leader, signal)?)
    }

    /// Returns how the leader has ended. Other processes of the group may still run.
    pub(crate) fn exit_reason(&self) -> Option<ExitReason> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(self.leader), options) {
            Ok(Some(status)) => {
                let signal = status.terminating_signal().map(Signal::new).map(ExitReason::Signal);
                let status = status.exit_status().map(ExitReason::Status);
                signal.or(status).or(Some(ExitReason::Unknown))
            }
            Ok(None) => None,
            Err(_) => Some(ExitReason::Unknown),
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // The group is empty if all of its processes have ended.
        let _ = kill_process_group(self.leader, process::Signal::KILL);
    }
}

/// Sends SIGINT to a process.
pub(crate) fn interrupt(pid: Pid) -> io::Result<()> {
    let pid = raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, process::Signal::INT)?)
}

/// Resolves when this process has no children, because others have reaped them.
pub(crate) async fn all_children_reaped() {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while waitid(WaitId::All, options).is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// Whether a process that is not a child of this one is alive. A zombie is not alive.
pub(crate) fn is_alive(pid: Pid) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')),
        // Without /proc only a signal can find out.
        Err(_) => {
            !Path::new("/proc/self").exists() && raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
        }
    }
}

/// Returns a path that leads to the executed file of a process, if the system has such paths. On Linux it leads to the file even after
/// another file has been put at its path.
pub(crate) fn executable(pid: Pid) -> Option<PathBuf> {
    Some(PathBuf::from(format!("/proc/{pid}/exe")))
}

/// Returns a command that starts a program as the child of another process, which writes the pid of the program into a file and waits.
///
/// # Errors
/// Fails with [`Unsupported`](io::ErrorKind::Unsupported) on a system without a shell.
pub(crate) fn below_a_parent(program: &Path, args: &[OsString], pid_file: &Path) -> io::Result<Command> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(SHELL).arg("sh").arg(pid_file).arg(program).args(args);
    Ok(command)
}

/// Returns a pid as the type of the system calls.
fn raw(pid: Pid) -> Option<process::Pid> {
    process::Pid::from_raw(i32::try_from(pid.get()).ok()?)
}

/// The command that kills a process, for people. Its pid follows.
pub(crate) const HOW_TO_KILL: &str = "kill";

/// A script that starts a program in the background and waits for it.
const SHELL: &str = r#"file=$1; shift; "$@" & echo $! > "$file"; wait"#;
