//! The parent process.

#[cfg(target_os = "macos")]
mod kqueue;
#[cfg(target_os = "linux")]
mod pidfd;

use std::{os::fd::OwnedFd, time::Duration};

use rustix::process::{Pid, getppid};
use tokio::io::unix::AsyncFd;

#[cfg(target_os = "macos")]
use self::kqueue::open;
#[cfg(target_os = "linux")]
use self::pidfd::open;

/// The process that was this one's parent at a certain moment.
pub(crate) struct Parent {
    pid: Option<Pid>,
    exit: Option<Exit>,
}

/// A descriptor that is readable when the process has exited.
type Exit = AsyncFd<OwnedFd>;

impl Parent {
    /// The parent as it is now. When it exits, the kernel gives this process another parent.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn current() -> Self {
        let pid = getppid();
        let exit = pid.and_then(open);
        // If the parent exited before the descriptor was opened, its pid may belong to another process. This process has a
        // new parent then.
        let exit = exit.filter(|_| getppid() == pid);
        Self { pid, exit }
    }

    /// Resolves when the parent has exited.
    pub(crate) async fn exited(self) {
        if let Some(exit) = self.exit {
            // This fails only when the reactor is closed. Nothing is served then.
            let _ = exit.readable().await;
            return;
        }
        while getppid() == self.pid {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// The pid of the parent of this process.
pub(crate) fn parent_pid() -> Option<u32> {
    Some(std::os::unix::process::parent_id())
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn open(_: Pid) -> Option<Exit> {
    None
}

/// How often the parent's pid is compared where there is no descriptor for it.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
