//! The exit of a process on Linux.

use rpcplugin_transport::async_fd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;

use super::Exit;

/// Opens the pidfd of a process. `None` where the kernel has none.
pub(super) fn open(pid: Pid) -> Option<Exit> {
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    async_fd(pidfd, Interest::READABLE).ok()
}
