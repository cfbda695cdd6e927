//! Plugins end with their host, however it dies and whatever they are written in.

use std::{io, path::Path, process::Stdio, time::Duration};

use rpcplugin_transport::start_time;
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process_group},
};
use tokio::process::{Child, Command};

/// A process that ends a plugin and its group when this host dies: it asks the plugin, gives it time, kills what is left,
/// and removes the directory of its sockets.
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

/// What a guard does when the host is dead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastWill<'w> {
    /// How long the plugin may take to end before it is killed.
    pub(crate) grace: Duration,
    /// The directory that goes with the plugin.
    pub(crate) socket_dir: &'w Path,
}

impl Guard {
    /// Guards a process that was made the leader of a group. It must not have been waited for.
    pub(crate) fn over(leader: u32, will: LastWill<'_>) -> io::Result<Self> {
        let number = i32::try_from(leader).map_err(io::Error::other)?;
        let group = Pid::from_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
        match Self::start(leader, will, None, number) {
            Ok((shell, held)) => Ok(Self { group: Some(group), shell, _held: held }),
            // There is no such group any more, or it is another session's.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {
                let started = start_time(leader).ok_or(error)?;
                let (shell, held) = Self::start(leader, will, Some(started), 0)?;
                Ok(Self { group: None, shell, _held: held })
            }
            Err(error) => Err(error),
        }
    }

    fn start(
        leader: u32,
        LastWill { grace, socket_dir }: LastWill<'_>,
        started: Option<String>,
        group: i32,
    ) -> io::Result<(Child, io::PipeWriter)> {
        let (awaited, held) = io::pipe()?;
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "rpcplugin-guard"])
            .arg(leader.to_string())
            .arg(started.unwrap_or_default())
            .arg(socket_dir)
            .arg(format!("{:.3}", grace.as_secs_f64()))
            // For a `sleep` that knows no fractions.
            .arg((grace.as_secs() + u64::from(grace.subsec_nanos() > 0)).to_string())
            .env_clear()
            .env("PATH", path())
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

/// Where the shell looks for `sleep` and `rm`: where most systems have them, and then where this host looks.
fn path() -> std::ffi::OsString {
    let mut path = std::ffi::OsString::from("/usr/bin:/bin");
    if let Some((_, own)) = std::env::vars_os().find(|(name, own)| name == "PATH" && !own.is_empty()) {
        path.push(":");
        path.push(own);
    }
    path
}

/// What the shell does. Its arguments are the plugin's number, the moment at which it started if the shell is not in its
/// group, the directory, and the grace in seconds with and without fractions.
///
/// - A signal to the group is for the others, also one of the terminal's: the guard stays until it is killed.
/// - The host writes nothing, so that `read` returns when the host is gone.
/// - `/proc` tells a zombie, which has no further thread, from a process that runs; where there is none, or it is not the one of this namespace, `kill`
///   has to do. A shell that is in the group needs no start time: the number cannot pass to another.
/// - The plugin alone is asked first, since what it started may have to help it to its end. When it has ended, so is what it
///   left in the group.
/// - The clock is a process beside the one that looks after the plugin, so that the grace is one on a busy machine too.
///   Whichever comes to the end first kills the other, as part of the group.
/// - The directory goes before the group, of which this shell is a part. A plugin that is being killed may still make a
///   socket in it.
/// - Without `sleep` there is no grace.
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
