//! The exit of a process on Linux.

use std::os::fd::OwnedFd;

use rpcplugin_transport::async_fd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::{Interest, unix::AsyncFd};

/// Opens the pidfd of a process. `None` where the kernel has none.
pub(super) fn open(pid: Pid) -> Option<AsyncFd<OwnedFd>> {
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    async_fd(pidfd, Interest::READABLE).ok()
}
