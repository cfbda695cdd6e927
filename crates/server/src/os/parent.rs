//! The parent process.

use std::time::Duration;

use rustix::process::{Pid, getppid};

/// The process that was this one's parent at a certain moment.
pub(crate) struct Parent {
    pid: Option<Pid>,
    #[cfg(target_os = "linux")]
    pidfd: Option<pidfd::Exit>,
}

impl Parent {
    /// The parent as it is now. When it exits, the kernel gives this process another parent.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn current() -> Self {
        let pid = getppid();
        Self {
            pid,
            #[cfg(target_os = "linux")]
            pidfd: pid.and_then(pidfd::open),
        }
    }

    /// Resolves when the parent has exited.
    pub(crate) async fn exited(self) {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = self.pidfd {
            // This fails only when the reactor is closed. Nothing is served then.
            let _ = pidfd.readable().await;
            return;
        }
        while getppid() == self.pid {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

#[cfg(target_os = "linux")]
mod pidfd {
    use std::os::fd::OwnedFd;

    use rpcplugin_transport::async_fd;
    use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
    use tokio::io::{Interest, unix::AsyncFd};

    /// Readable when the process has exited.
    pub(super) type Exit = AsyncFd<OwnedFd>;

    /// Opens the parent's pidfd. `None` where the kernel has none.
    pub(super) fn open(parent: Pid) -> Option<Exit> {
        let pidfd = pidfd_open(parent, PidfdFlags::NONBLOCK).ok()?;
        // If the parent exited before the call, its pid may belong to another process. This process has a new parent then.
        if getppid() != Some(parent) {
            return None;
        }
        async_fd(pidfd, Interest::READABLE).ok()
    }
}

/// How often the parent's pid is compared where there are no pidfds.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
