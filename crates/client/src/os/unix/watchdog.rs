//! The watchdog of a plugin, which ends the plugin when the host dies, however the host dies.

use std::{io, path::Path, process::Stdio, time::Duration};

use rpcplugin_core::Pid;
use rpcplugin_transport::start_time;
use tokio::process::{Child, Command};

use super::group::{self, Group};

/// A process that ends a plugin and its group when this host dies. It asks the plugin to end, waits for the grace
/// period, kills what is left, and removes the directory of the plugin's sockets.
///
/// The watchdog waits for the end of a pipe whose other end only this host has. The kernel closes the files of a host
/// that is killed, so that the host need not do anything. The watchdog belongs to the plugin's process group. While
/// it runs, the number of the group, which is the plugin's pid too, cannot be given to other processes, and signals
/// to the group end the watchdog together with the plugin. `docs/decisions` has the reasons.
///
/// If the plugin has already moved to another process group, the watchdog cannot join the original group. It then
/// identifies the plugin by pid and start time.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// The group that the watchdog belongs to, if it does.
    group: Option<Group>,
    shell: Child,
    _pipe: io::PipeWriter,
}

/// The instructions to a watchdog for the death of the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastWill<'w> {
    /// The time in which the plugin may end by itself before it is killed.
    pub(crate) grace: Duration,
    /// The directory of the plugin's sockets.
    pub(crate) socket_dir: &'w Path,
}

impl Watchdog {
    /// Watches over the leader of a group, which must not have been reaped.
    pub(super) fn over(leader: Pid, will: LastWill<'_>) -> io::Result<Self> {
        let group = Group::of(leader).ok_or(io::ErrorKind::InvalidInput)?;
        match Self::start(leader, will, None, |shell| group.spawn(shell)) {
            Ok((shell, pipe)) => Ok(Self { group: Some(group), shell, _pipe: pipe }),
            Err(error) if group::is_not_permitted(&error) => {
                let started = start_time(leader.get()).ok_or(error)?;
                let (shell, pipe) = Self::start(leader, will, Some(started), group::spawn_leader)?;
                Ok(Self { group: None, shell, _pipe: pipe })
            }
            Err(error) => Err(error),
        }
    }

    fn start(
        leader: Pid,
        LastWill { grace, socket_dir }: LastWill<'_>,
        started: Option<String>,
        spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
    ) -> io::Result<(Child, io::PipeWriter)> {
        let (read, write) = io::pipe()?;
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", SCRIPT, "rpcplugin-watchdog"])
            .arg(leader.to_string())
            .arg(started.unwrap_or_default())
            .arg(socket_dir)
            .arg(format!("{:.3}", grace.as_secs_f64()))
            // For a `sleep` that does not accept fractions.
            .arg((grace.as_secs() + u64::from(grace.subsec_nanos() > 0)).to_string())
            .env_clear()
            .env("PATH", path())
            .current_dir("/")
            .stdin(read)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        Ok((spawn(&mut shell)?, write))
    }

    /// Whether the watchdog still runs. Reaps a watchdog that has ended.
    pub(super) fn remains(&mut self) -> bool {
        matches!(self.shell.try_wait(), Ok(None))
    }

    /// Kills the watchdog, and does not wait for its end.
    pub(super) fn kill(&mut self) {
        // It may have been killed with its group already.
        let _ = self.shell.start_kill();
    }

    /// Kills what is left of the group, the watchdog with it. Called when the leader has ended, so that processes
    /// that the leader started and left behind end too. A task reaps the watchdog.
    pub(super) fn end_group(mut self) {
        // Until the watchdog has been reaped, the number of its group cannot be given to another.
        if self.remains() {
            if let Some(group) = self.group {
                group.kill();
            }
            tokio::spawn(self.dismiss());
        }
    }

    /// Ends the watchdog, and waits until it is gone.
    ///
    /// # Cancel safety
    /// The watchdog ends even if the future is dropped.
    pub(super) async fn dismiss(mut self) {
        let _ = self.shell.kill().await;
    }
}

/// The `PATH` of the shell, for `sleep` and `rm`: the directories of most systems, then the `PATH` of this host.
fn path() -> std::ffi::OsString {
    let mut path = std::ffi::OsString::from("/usr/bin:/bin");
    if let Some((_, own)) = std::env::vars_os().find(|(name, own)| name == "PATH" && !own.is_empty()) {
        path.push(":");
        path.push(own);
    }
    path
}

/// The program of the shell. Its arguments are the plugin's pid, the plugin's start time if the shell is not in its
/// group, the directory, and the grace period in seconds with and without fractions.
///
/// - Signals to the group, also those of the terminal, are meant for the others: the watchdog ignores all but SIGKILL.
/// - The host writes nothing to the pipe, so that `read` returns when the host is gone.
/// - `/proc` distinguishes a zombie without further threads from a running process. Where there is no `/proc`, or
///   where it is that of another namespace, `kill -0` has to be enough. A shell in the plugin's group needs no start
///   time, because the number of the group is in use.
/// - The plugin alone is asked first, since processes that it started may have to help it to end. When it has exited,
///   the rest of its group is asked.
/// - A second process waits for the grace period, so that a busy machine does not extend it. The process that
///   finishes first kills the other with the group.
/// - The directory is removed before the group is killed, because this shell is in the group. A plugin that is being
///   killed may still make a socket in it.
/// - Without `sleep` there is no grace period.
const SCRIPT: &str = r#"trap '' HUP INT QUIT TERM TSTP TTIN TTOU USR1 USR2 ALRM PIPE
plugin=$1 started=$2 dir=$3 grace=$4 seconds=$5
runs() {
  if read -r stat <"/proc/$plugin/stat"; then
    set -f; set -- ${stat##*) }; set +f
    case $1${18} in Z0|Z1|X*) return 1;; esac
    [ -z "$started" ] || [ "${20}" = "$started" ]
  else
    [ -z "$started" ] && kill -0 "$plugin"
  fi
}
others() {
  for entry in /proc/[0-9]*/stat; do
    read -r stat <"$entry" || continue
    set -f; set -- "$entry" ${stat##*) }; set +f
    [ "$4" = "$plugin" ] || continue
    case $2${19} in Z0|Z1|X*) continue;; esac
    case $3 in $$|$clock) continue;; esac
    case $1 in /proc/$$/stat|/proc/$clock/stat) continue;; esac
    return 0
  done
  return 1
}
finish() {
  if runs; then
    kill -KILL "$plugin"
    [ -n "$started" ] && kill -KILL "-$plugin"
  fi
  rm -rf -- "$dir" || rm -rf -- "$dir"
  kill -KILL 0
}
read -r _
case $grace in 0.000) finish;; esac
(sleep "$grace" || sleep "$seconds"; finish) & clock=$!
if runs; then kill -TERM "$plugin"; kill -CONT "$plugin"; fi
while runs; do sleep 0.05 || sleep 1 || finish; done
if [ -z "$started" ] && others; then
  kill -TERM 0; kill -CONT 0
  while others; do sleep 0.1 || sleep 1 || finish; done
fi
finish"#;
