//! Pipes, and waiting for descriptors.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, ioctl_fionread},
};

/// Makes a pipe. Returns the end to read from, then the end to write to.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let (read, write) = io::pipe()?;
    Ok((OwnedFd::from(read).into(), OwnedFd::from(write).into()))
}

/// Opens the file that discards what is written to it.
pub(crate) fn open_null() -> io::Result<File> {
    File::options().write(true).open("/dev/null")
}

/// Waits until at least one of the pipes can be read or is at its end. Returns which of them. `None` after `timeout`. Without a
/// `timeout`, waits as long as it takes.
///
/// The system refuses to wait for more descriptors than the process may open. The limit may be 0 in a process that confines
/// itself. The pipes are then looked at every [`LOOK_INTERVAL`], which shows bytes, and not the end of a pipe.
pub(crate) fn readable<'a>(
    pipes: impl Iterator<Item = &'a File>,
    timeout: Option<Duration>,
) -> Option<Vec<bool>> {
    let pipes: Vec<&File> = pipes.collect();
    let mut fds: Vec<_> = pipes.iter().map(|pipe| PollFd::new(*pipe, PollFlags::IN)).collect();
    let limit = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    loop {
        match poll(&mut fds, limit.as_ref()) {
            Err(Errno::INTR) => {}
            Ok(0) => return None,
            Ok(_) => return Some(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(_) => {
                let has_bytes = |pipe: &&File| ioctl_fionread(pipe).is_ok_and(|bytes| bytes > 0);
                let ready: Vec<bool> = pipes.iter().map(has_bytes).collect();
                if ready.contains(&true) {
                    return Some(ready);
                }
                if timeout.is_some_and(|timeout| timeout <= LOOK_INTERVAL) {
                    return None;
                }
                thread::sleep(LOOK_INTERVAL);
            }
        }
    }
}

/// How often pipes are looked at if the system does not wait for them.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Whether a pipe from which nothing was read has ended.
pub(crate) fn is_ended(_: &File) -> bool {
    true
}

/// Resolves when `output` is a pipe or socket and its other end is closed. Never resolves for files and terminals.
#[cfg(target_os = "linux")]
pub(crate) async fn reader_closed(output: File) {
    use rpcplugin_transport::async_fd;
    use tokio::io::Interest;

    // A pipe whose reader is gone has an error. A socket whose peer is gone is at its end.
    let ended = Interest::ERROR | Interest::READABLE;
    // Epoll does not accept regular files. A terminal that hangs up sends SIGHUP.
    if let Ok(watched) = async_fd(output.into(), ended) {
        while let Ok(mut ready) = watched.ready(ended).await {
            if is_broken(watched.get_ref().as_fd()) {
                return;
            }
            ready.clear_ready();
        }
    }
    std::future::pending().await
}

/// Resolves when `output` is a pipe or socket and its other end is closed. Never resolves for files and terminals.
///
/// The other end is looked at twice a second: kqueue reports a closed reader as an end of input, and tokio does not pass
/// this on to a task that waits for errors.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn reader_closed(output: File) {
    use rustix::fs::{FileType, fstat};

    let kind = fstat(&output).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if matches!(kind, Ok(FileType::Fifo | FileType::Socket)) {
        while !is_broken(output.as_fd()) {
            tokio::time::sleep(END_INTERVAL).await;
        }
        return;
    }
    std::future::pending().await
}

/// How often the other end of a pipe is looked at where no event reports that it was closed.
#[cfg(not(target_os = "linux"))]
const END_INTERVAL: Duration = Duration::from_millis(500);

/// Whether the other end of a pipe or socket is closed.
fn is_broken(output: BorrowedFd<'_>) -> bool {
    // Linux reports the end whatever is asked for. macOS looks at a descriptor only if something is asked for.
    let mut fds = [PollFd::from_borrowed_fd(output, PollFlags::HUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
        && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}
