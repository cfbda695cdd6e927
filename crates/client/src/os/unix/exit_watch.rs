//! Noticing the exit of a child before it is reaped.

use rpcplugin_core::Pid;
use rustix::process::{self as sys, WaitId, WaitIdOptions, waitid};
use tokio::signal::unix::{SignalKind, signal};

use super::raw_pid::raw;
use crate::os::system::PidHandle;

/// Watches for the exit of a child and leaves the child unreaped. Until a child is reaped, its pid and the number of
/// its group cannot be given to another process, so that what the child left in the group can be killed.
#[derive(Debug)]
pub(super) enum ExitWatch {
    /// By the handle of the process.
    Handle(PidHandle),
    /// Without a handle: SIGCHLD, which arrives when any child exits.
    Child(sys::Pid, tokio::signal::unix::Signal),
}

impl ExitWatch {
    pub(super) fn of(child: Pid) -> Option<Self> {
        PidHandle::open(child).map(Self::Handle).or_else(|| Self::by_signal(child))
    }

    fn by_signal(child: Pid) -> Option<Self> {
        let exits = signal(SignalKind::child()).ok()?;
        Some(Self::Child(raw(child)?, exits))
    }

    /// Resolves when the process has exited.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(super) async fn exited(&mut self) {
        match self {
            Self::Handle(handle) => handle.exited().await,
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

#[cfg(test)]
mod tests {
    use std::{process::Stdio, time::Duration};

    use rustix::process::kill_process;

    use super::*;
    use crate::os::{Signal, stopped_by};

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
