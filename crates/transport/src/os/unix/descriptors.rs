//! File descriptors: waiting for those that tokio has no type for, and their limit.

use std::{io, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Registers a file descriptor, such as a pidfd, with the runtime, to wait until it is ready for `interest`.
///
/// # Errors
/// Fails for descriptors that cannot be waited for, such as regular files, and when the system is out of resources.
///
/// # Panics
/// Panics outside a tokio runtime.
#[expect(unsafe_code, reason = "tokio's constructor trusts its caller to keep the descriptor open")]
pub fn async_fd(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and stays the same descriptor for as long as it lives, and it lives inside the
    // `AsyncFd`, which hands out only shared references to it.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(Into::into)
}

/// How many descriptors the process may have open. `None` if there is no limit.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Whether an operation failed because a descriptor, or memory for one, is missing.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| short.contains(&error))
}
