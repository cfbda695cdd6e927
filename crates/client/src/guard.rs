//! Plugins die with their host, however it dies and whatever they are written in.

use std::{io, process::Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A process in a plugin's group that kills the group when this host dies.
///
/// It waits for the end of a pipe whose other end only this host has, so that nothing has to be done for it to notice:
/// a host that is killed closes its files all the same. Because it belongs to the group that it kills, the group's
/// number cannot pass to strangers while it lives, and it ends together with the others. How this came about is told in
/// `docs/decisions`.
#[derive(Debug)]
pub(crate) struct Guard {
    group: Pid,
    shell: Child,
    _held: io::PipeWriter,
}

impl Guard {
    /// Guards the process group that `leader` leads. The leader must not have been waited for.
    pub(crate) fn over(leader: u32) -> io::Result<Self> {
        let number = i32::try_from(leader).map_err(io::Error::other)?;
        let group = Pid::from_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
        let (awaited, held) = io::pipe()?;
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "rpcplugin-guard"])
            .env_clear()
            .current_dir("/")
            .stdin(awaited)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(number)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { group, shell, _held: held })
    }

    /// Whether the guard is still there; reaps it if it has ended.
    pub(crate) fn remains(&mut self) -> bool {
        matches!(self.shell.try_wait(), Ok(None))
    }

    /// Kills what is left of the group, the guard with it. To be called when the leader has ended: what it started and
    /// left behind does not outlive it. The guard is reaped by a task of its own, since nobody has to wait for that.
    pub(crate) fn end_group(mut self) {
        // As long as the guard has not been reaped, the group's number is its own.
        if self.remains() {
            let _ = kill_process_group(self.group, Signal::KILL);
            tokio::spawn(self.dismiss());
        }
    }

    /// Ends the guard, and waits until it is gone.
    ///
    /// # Cancel safety
    /// The guard ends even if the future is dropped.
    pub(crate) async fn dismiss(mut self) {
        // It can have been killed with its group already.
        let _ = self.shell.kill().await;
    }
}

/// A polite end of the group is not the guard's: it stays until it is killed. The host writes nothing, so that reading
/// returns when the host is gone.
const SCRIPT: &str = "trap '' HUP INT QUIT TERM; read -r _; kill -KILL 0";
