//! Noticing that the host has died.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use rpcplugin_transport::async_fd;
use rustix::process::Pid;
use tokio::io::{Interest, unix::AsyncFd};

use crate::{
    ending::{Cause, Ending},
    real_stderr::RealStderr,
};

/// The process that is this one's parent at a certain time.
///
/// To be taken as the first of all, since from its death on another process is this one's parent. One that had died before is
/// noticed by the line that nobody reads; where others hold the pipe, it cannot be told from a process that starts plugins
/// and ends, while those for whom it did so go on.
pub(crate) struct Parent {
    pid: Option<Pid>,
    #[cfg(target_os = "linux")]
    pidfd: Option<AsyncFd<OwnedFd>>,
}

impl Parent {
    /// The parent as it is now.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn of_this_process() -> Self {
        let pid = rustix::process::getppid();
        #[cfg(target_os = "linux")]
        let pidfd = pid
            .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::NONBLOCK).ok())
            // The number could have passed to another process before it was opened; then this one has a new parent.
            .filter(|_| rustix::process::getppid() == pid)
            .and_then(|pidfd| async_fd(pidfd, Interest::READABLE).ok());
        Self {
            pid,
            #[cfg(target_os = "linux")]
            pidfd,
        }
    }

    /// Resolves when it has died.
    async fn gone(self) {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = self.pidfd {
            // Only a closed reactor could fail here, and then nothing is served any more.
            let _ = pidfd.readable().await;
            return;
        }
        // Without pidfds: a process whose parent has died is handed to another.
        while rustix::process::getppid() == self.pid {
            tokio::time::sleep(PARENT_POLL).await;
        }
    }
}

/// Ends the plugin when the parent dies, or when nobody holds the other ends of its stdout and stderr any more, which
/// says the same of a host with a shell in between.
///
/// # Errors
/// When the process is out of file descriptors.
pub(crate) fn watch(
    ending: &Ending,
    parent: Parent,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    let stderr = RealStderr::get()?.try_clone_fd()?;
    let ending = ending.clone();
    Ok(async move {
        let pipes = async {
            reader_gone(stdout).await;
            reader_gone(stderr).await;
        };
        tokio::select! {
            () = parent.gone() => {}
            () = pipes => {}
            () = ending.begun() => return,
        }
        ending.begin(Cause::HostGone);
    })
}

/// Resolves when `output` is a pipe or socket and its other end is closed; never for files and terminals.
async fn reader_gone(output: OwnedFd) {
    // Epoll takes no regular files. A terminal that hangs up sends SIGHUP.
    if let Ok(watched) = async_fd(output, Interest::ERROR) {
        while let Ok(mut ready) = watched.ready(Interest::ERROR).await {
            if is_broken(watched.get_ref().as_fd()) {
                return;
            }
            ready.clear_ready();
        }
    }
    std::future::pending().await
}

/// Whether the other end of a pipe or socket is closed.
fn is_broken(output: std::os::fd::BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::from_borrowed_fd(output, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
        && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

const PARENT_POLL: Duration = Duration::from_millis(500);
