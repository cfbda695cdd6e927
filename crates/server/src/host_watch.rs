//! Noticing that the host has died.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rpcplugin_transport::async_fd;
use tokio::io::Interest;

use crate::ending::{Cause, Ending};

/// Ends the plugin when the process that started it dies, or when nobody holds the other ends of its stdout and stderr
/// any more, which says the same of a host with a shell in between.
///
/// Looks at the parent as it is *now*: to be called before the handshake line is printed. A host that died before that
/// is noticed all the same, because its ends of the pipes are gone.
pub(crate) fn watch(
    ending: &Ending,
    stdout: OwnedFd,
    stderr: OwnedFd,
) -> impl Future<Output = ()> + Send + 'static {
    let parent = parent_gone();
    let ending = ending.clone();
    async move {
        let pipes = async {
            reader_gone(stdout).await;
            reader_gone(stderr).await;
        };
        tokio::select! {
            () = parent => {}
            () = pipes => {}
            () = ending.begun() => return,
        }
        ending.begin(Cause::HostGone);
    }
}

/// Resolves when the process that is this one's parent now has died.
fn parent_gone() -> impl Future<Output = ()> + Send + 'static {
    let parent = rustix::process::getppid();
    #[cfg(target_os = "linux")]
    let pidfd = parent
        .and_then(|parent| rustix::process::pidfd_open(parent, rustix::process::PidfdFlags::NONBLOCK).ok())
        // The number could have passed to another process before it was opened; then this one has a new parent.
        .filter(|_| rustix::process::getppid() == parent)
        .and_then(|pidfd| async_fd(pidfd, Interest::READABLE).ok());
    async move {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = pidfd {
            // Only a closed reactor could fail here, and then nothing is served any more.
            let _ = pidfd.readable().await;
            return;
        }
        // Without pidfds: a process whose parent has died is handed to another.
        while rustix::process::getppid() == parent {
            tokio::time::sleep(PARENT_POLL).await;
        }
    }
}

/// Resolves when `output` is a pipe or socket and its other end is closed; never for files and terminals.
async fn reader_gone(output: OwnedFd) {
    // Epoll takes no regular files. A terminal that hangs up sends SIGHUP.
    if let Ok(watched) = async_fd(output, Interest::ERROR) {
        loop {
            match watched.ready(Interest::ERROR).await {
                Ok(mut ready) => {
                    if is_broken(watched.get_ref().as_fd()) {
                        return;
                    }
                    ready.clear_ready();
                }
                Err(_) => break,
            }
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
