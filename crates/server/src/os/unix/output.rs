//! A descriptor to write to whose reader may have stopped reading.

use std::{
    fs::File,
    io::{self, Write},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How many bytes a pipe that has room accepts in one write: `PIPE_BUF` of Linux, and elsewhere the minimum of POSIX.
pub(crate) const PIPE_BUF: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// A descriptor whose reader may have stopped reading. Its user waits for room, and not longer than it wants to.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    fails_when_full: bool,
}

impl Output {
    /// Writes to this file. A write blocks while there is no room.
    pub(crate) fn to(file: File) -> Self {
        Self { file, fails_when_full: false }
    }

    /// Writes to this file. A write fails with `WouldBlock` while there is no room, if the system can do this: only on
    /// Linux, and only for pipes.
    pub(crate) fn to_reopened(file: File) -> Self {
        match reopen_nonblocking(&file) {
            Some(reopened) => Self { file: reopened, fails_when_full: true },
            None => Self::to(file),
        }
    }

    /// Whether a write fails when there is no room. Otherwise no write may be longer than [`PIPE_BUF`], and the room is
    /// waited for before each.
    pub(crate) fn fails_when_full(&self) -> bool {
        self.fails_when_full
    }

    /// Waits until there is room for [`PIPE_BUF`] bytes, or a write would fail at once.
    ///
    /// # Errors
    /// `Interrupted` when a signal arrived, `TimedOut` after `timeout`.
    pub(crate) fn wait_for_room(&self, timeout: Duration) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.file, PollFlags::OUT)];
        match poll(&mut fds, Timespec::try_from(timeout).ok().as_ref()) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Duplicates the descriptor.
    pub(crate) fn try_clone_file(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl Write for &Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.file).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a pipe once more, so that writes through the new file fail while the pipe is full. The flag belongs to the open
/// file description, and other processes that share the old description do not expect it there. `None` if `file` is not a
/// pipe, or the system cannot do this.
#[cfg(target_os = "linux")]
fn reopen_nonblocking(file: &File) -> Option<File> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{FileType, Mode, OFlags};

    let mode = rustix::fs::fstat(file).ok()?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::Fifo {
        return None;
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn reopen_nonblocking(_: &File) -> Option<File> {
    None
}
