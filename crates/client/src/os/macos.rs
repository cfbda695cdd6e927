//! What macOS offers in place of pidfds: kqueue for the exit of a process, and the pid of the process at the other end of
//! a Unix socket. There is no `/proc`.

use std::{
    fs::File,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
use rpcplugin_core::{Endpoint, Pid};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Signal as RawSignal, kill_process},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    signal::Signal,
    unix::{listening_pid, raw},
};

/// A process, watched by a kqueue from the moment at which the handle was opened.
///
/// A signal is sent by pid, after a look at the kqueue: none is sent once the process has exited. Only if the process exits
/// between the look and the signal, is reaped, and all other pids are used before, another process could be reached.
#[derive(Debug)]
pub(crate) struct PidHandle {
    pid: rustix::process::Pid,
    /// Becomes readable when the process exits.
    exit: AsyncFd<OwnedFd>,
}

impl PidHandle {
    /// Opens the process that has this pid now. `None` for a process that exits, or has exited and is not reaped.
    pub(crate) fn open(pid: Pid) -> Option<Self> {
        let ident = usize::try_from(pid.get()).ok()?;
        let pid = raw(pid)?;
        let queue = Kqueue::new().ok()?;
        let exit = KEvent::new(ident, EventFilter::EVFILT_PROC, EvFlags::EV_ADD, FilterFlag::NOTE_EXIT, 0, 0);
        queue.kevent(&[exit], &mut [], None).ok()?;
        let exit = rpcplugin_transport::async_fd(queue.into(), Interest::READABLE).ok()?;
        Some(Self { pid, exit })
    }

    /// Opens the process with this pid, if the kernel reports that process for the listener at the endpoint. The
    /// listener at a TCP port is unknown.
    pub(crate) async fn of_listener(pid: Pid, endpoint: &Endpoint, within: Duration) -> Option<Self> {
        let handle = Self::open(pid)?;
        let listens = listening_pid(endpoint, within).await == Some(pid);
        // It has had the pid all the time.
        (listens && !handle.has_exited()).then_some(handle)
    }

    /// Resolves when the process has exited.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(crate) async fn exited(&self) {
        // Only a closed reactor could fail here. Then no task waits any more.
        let _ = self.exit.readable().await;
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let signal = RawSignal::from_named_raw(signal.number()).ok_or(io::ErrorKind::InvalidInput)?;
        if self.has_exited() {
            return Err(rustix::io::Errno::SRCH.into());
        }
        Ok(kill_process(self.pid, signal)?)
    }

    /// Whether the kqueue has the exit. The exit stays in it.
    fn has_exited(&self) -> bool {
        let mut fds = [PollFd::new(self.exit.get_ref(), PollFlags::IN)];
        !matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
    }
}

/// Whether this process ignores the signal. Unknown: only unsafe code could find out.
pub(super) fn ignores(_: i32) -> bool {
    false
}

/// The file's own path: there is no path of an open file that could be executed.
pub(super) fn path_of_open_file(path: PathBuf, _: &mut File) -> io::Result<PathBuf> {
    Ok(path)
}

/// A pipe cannot be opened a second time: `/dev/fd` shares the flags of the descriptor.
pub(super) fn reopened_for_writing(_: BorrowedFd<'_>) -> Option<OwnedFd> {
    None
}
