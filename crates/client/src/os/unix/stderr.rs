//! Writing to a stderr that may be full, without waiting for it.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, fstat},
};

use crate::os::system;

/// Writes as much as fits. Fails with [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and
/// with [`BrokenPipe`](io::ErrorKind::BrokenPipe) if there is no reader.
pub(crate) fn write_without_waiting(stderr: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let stderr = stderr.as_fd();
    let kind = FileType::from_raw_mode(fstat(stderr)?.st_mode);
    if kind == FileType::RegularFile {
        return write_to(stderr.try_clone_to_owned()?, bytes);
    }
    if matches!(kind, FileType::Fifo | FileType::CharacterDevice)
        && let Some(again) = system::reopened_for_writing(stderr)
    {
        return write_to(again, bytes);
    }
    write_if_ready(stderr, bytes)
}

fn write_if_ready(stderr: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let mut fds = [PollFd::from_borrowed_fd(stderr, PollFlags::OUT)];
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        // A write without a reader would end a host that leaves SIGPIPE at its default.
        _ if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        _ => write_to(stderr.try_clone_to_owned()?, bytes),
    }
}

fn write_to(fd: OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    File::from(fd).write(bytes)
}
