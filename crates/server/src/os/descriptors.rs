//! Pipes, and waiting for descriptors.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, BorrowedFd},
    time::Duration,
};

use rpcplugin_transport::async_fd;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};
use tokio::io::Interest;

/// How many bytes a pipe that has room accepts in one write: `PIPE_BUF` of Linux, and elsewhere the minimum of POSIX.
pub(crate) const PIPE_BUF: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// Makes a pipe. Returns the end to read from, then the end to write to.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((read.into(), write.into()))
}

/// Opens the file that discards what is written to it.
pub(crate) fn open_null() -> io::Result<File> {
    File::options().write(true).open("/dev/null")
}

/// Waits until at least one of the files can be read or is at its end. Returns which of them. `None` after `timeout`. Without a
/// `timeout`, waits as long as it takes.
pub(crate) fn readable<'a>(
    files: impl Iterator<Item = &'a File>,
    timeout: Option<Duration>,
) -> Option<Vec<bool>> {
    let mut fds: Vec<_> = files.map(|file| PollFd::new(file, PollFlags::IN)).collect();
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    loop {
        match poll(&mut fds, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            Ok(0) | Err(_) => return None,
            Ok(_) => return Some(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
        }
    }
}

/// Waits until the file has room for [`PIPE_BUF`] bytes, or a write would fail at once.
///
/// # Errors
/// `Interrupted` when a signal arrived, `TimedOut` after `timeout`.
pub(crate) fn writable(file: &File, timeout: Duration) -> io::Result<()> {
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    match poll(&mut fds, Timespec::try_from(timeout).ok().as_ref()) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        Ok(_) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Resolves when `output` is a pipe or socket and its other end is closed. Never resolves for files and terminals.
pub(crate) async fn reader_closed(output: File) {
    // Epoll does not accept regular files. A terminal that hangs up sends SIGHUP.
    if let Ok(watched) = async_fd(output.into(), Interest::ERROR) {
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
fn is_broken(output: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(output, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
        && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Opens a pipe once more, so that writes through the new file fail while the pipe is full. The flag belongs to the open
/// file description, and other processes that share the old description do not expect it there. `None` if `file` is not a
/// pipe, or the system cannot do this.
#[cfg(target_os = "linux")]
pub(crate) fn reopen_nonblocking(file: &File) -> Option<File> {
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
pub(crate) fn reopen_nonblocking(_: &File) -> Option<File> {
    None
}
