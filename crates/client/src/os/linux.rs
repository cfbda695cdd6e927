//! What only Linux offers: pidfds, `/proc`, real-time signals.

mod socket_owner;

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use rpcplugin_core::{Endpoint, Pid};
use rpcplugin_transport::start_time;
use rustix::{
    fs::{Mode, OFlags, open},
    io::{FdFlags, fcntl_setfd},
    process::{PidfdFlags, Signal as RawSignal, pidfd_open, pidfd_send_signal},
};
use tokio::io::{Interest, unix::AsyncFd};

use self::socket_owner::listens;
use super::{signal::Signal, unix::raw};

/// A process by its pidfd, which never means another process.
#[derive(Debug)]
pub(crate) struct PidHandle(AsyncFd<OwnedFd>);

impl PidHandle {
    /// Opens the process that has this pid now.
    pub(crate) fn open(pid: Pid) -> Option<Self> {
        let pidfd = pidfd_open(raw(pid)?, PidfdFlags::NONBLOCK).ok()?;
        rpcplugin_transport::async_fd(pidfd, Interest::READABLE).ok().map(Self)
    }

    /// Opens the process with this pid, if that process has the listening socket at the endpoint open.
    pub(crate) async fn of_listener(pid: Pid, endpoint: &Endpoint, _: Duration) -> Option<Self> {
        let before = start_time(pid.get())?;
        let handle = Self::open(pid)?;
        // The same start time before and after: the handle and the socket belong to one process.
        let is_the_same = listens(pid, endpoint) && start_time(pid.get()) == Some(before);
        is_the_same.then_some(handle)
    }

    /// Resolves when the process has exited.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(crate) async fn exited(&self) {
        // Only a closed reactor could fail here. Then no task waits any more.
        let _ = self.0.readable().await;
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let signal = RawSignal::from_named_raw(signal.number()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(pidfd_send_signal(&self.0, signal)?)
    }
}

/// Whether this process ignores the signal.
pub(super) fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// The path of an open file under `/proc`. A file that is put at the original path meanwhile does not matter.
pub(super) fn path_of_open_file(_: PathBuf, file: &mut File) -> io::Result<PathBuf> {
    let mut start = [0; 2];
    file.seek(SeekFrom::Start(0))?;
    if file.read(&mut start)? == 2 && start == *b"#!" {
        // The interpreter of a script opens the file by its descriptor, and must therefore inherit it.
        fcntl_setfd(&*file, FdFlags::empty())?;
    }
    Ok(format!("/proc/self/fd/{}", file.as_raw_fd()).into())
}

/// Opens the same pipe or terminal again, so that a write fails when it is full. The flags of the original descriptor are
/// shared with all processes that have it, and cannot be changed for that reason.
pub(super) fn reopened_for_writing(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    open(path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).ok()
}
