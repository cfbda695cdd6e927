//! The exit of a process on macOS.

use std::os::fd::OwnedFd;

use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
use rpcplugin_transport::async_fd;
use rustix::process::Pid;
use tokio::io::{Interest, unix::AsyncFd};

/// Makes a kqueue that becomes readable when the process exits. `None` if the process has exited, or the system refuses.
pub(super) fn open(pid: Pid) -> Option<AsyncFd<OwnedFd>> {
    let queue = Kqueue::new().ok()?;
    let ident = usize::try_from(pid.as_raw_nonzero().get()).ok()?;
    let exits = KEvent::new(ident, EventFilter::EVFILT_PROC, EvFlags::EV_ADD, FilterFlag::NOTE_EXIT, 0, 0);
    queue.kevent(&[exits], &mut [], None).ok()?;
    async_fd(queue.into(), Interest::READABLE).ok()
}
