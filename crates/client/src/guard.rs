//! Plugins die with their host, however it dies and whatever they are written in.

use std::{io, process::Stdio};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process_group},
};
use tokio::process::{Child, Command};

use crate::child::start_time;

/// A process that kills a plugin and its group when this host dies.
///
/// It waits for the end of a pipe whose other end only this host has, so that nothing has to be done for it to notice:
/// a host that is killed closes its files all the same. It belongs to the plugin's group. While it lives, that keeps the
/// number, which is the plugin's and the group's, from passing to strangers, and it ends together with the others. How
/// this came about is told in `docs/decisions`.
///
/// A plugin that has gone over to another group may have left none to belong to. Its guard stands alone and goes by the
/// moment at which the plugin started, so that it does not take a stranger with the same number for it.
#[derive(Debug)]
pub(crate) struct Guard {
    /// The group that it belongs to, if it does.
    group: Option<Pid>,
    shell: Child,
    _held: io::PipeWriter,
}

impl Guard {
    /// Guards a process that was made the leader of a group. It must not have been waited for.
    pub(crate) fn over(leader: u32) -> io::Result<Self> {
        let number = i32::try_from(leader).map_err(io::Error::other)?;
        let group = Pid::from_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
        match Self::start(leader, WITHIN, None, number) {
            Ok((shell, held)) => Ok(Self { group: Some(group), shell, _held: held }),
            // There is no such group any more, or it is another session's.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {
                let started = start_time(leader).ok_or(error)?;
                let (shell, held) = Self::start(leader, ALONE, Some(started), 0)?;
                Ok(Self { group: None, shell, _held: held })
            }
            Err(error) => Err(error),
        }
    }

    fn start(
        leader: u32,
        script: &str,
        started: Option<String>,
        group: i32,
    ) -> io::Result<(Child, io::PipeWriter)> {
        let (awaited, held) = io::pipe()?;
        let shell = Command::new("/bin/sh")
            .args(["-c", script, "rpcplugin-guard"])
            .arg(leader.to_string())
            .args(started)
            .env_clear()
            .current_dir("/")
            .stdin(awaited)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(group)
            .kill_on_drop(true)
            .spawn()?;
        Ok((shell, held))
    }

    /// Whether the guard is still there; reaps it if it has ended.
    pub(crate) fn remains(&mut self) -> bool {
        matches!(self.shell.try_wait(), Ok(None))
    }

    /// Kills the guard, and does not wait for its end.
    pub(crate) fn kill(&mut self) {
        // It can have been killed with its group already.
        let _ = self.shell.start_kill();
    }

    /// Kills what is left of the group, the guard with it. To be called when the leader has ended: what it started and
    /// left behind does not outlive it. The guard is reaped by a task of its own, since nobody has to wait for that.
    pub(crate) fn end_group(mut self) {
        // As long as the guard has not been reaped, the number of the group that it is in is its own.
        if self.remains() {
            if let Some(group) = self.group {
                let _ = kill_process_group(group, Signal::KILL);
            }
            tokio::spawn(self.dismiss());
        }
    }

    /// Ends the guard, and waits until it is gone.
    ///
    /// # Cancel safety
    /// The guard ends even if the future is dropped.
    pub(crate) async fn dismiss(mut self) {
        let _ = self.shell.kill().await;
    }
}

/// A polite end of the group is not the guard's: it stays until it is killed. The host writes nothing, so that reading
/// returns when the host is gone. The plugin by its number, should it have left the group in the meantime.
const WITHIN: &str = r#"trap '' HUP INT QUIT TERM; read -r _; kill -KILL "$1"; kill -KILL 0"#;

/// The same from outside: the plugin, and the group with its number, unless the number has passed to another process.
const ALONE: &str = r#"trap '' HUP INT QUIT TERM; read -r _; read -r stat <"/proc/$1/stat"
plugin=$1 started=$2; set -f; set -- ${stat##*) }
[ "${20}" = "$started" ] && { kill -KILL "$plugin"; kill -KILL "-$plugin"; }"#;
