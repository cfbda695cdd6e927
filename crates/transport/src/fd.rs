//! Waiting for file descriptors that tokio has no type for, such as pidfds.

use std::{io, os::fd::OwnedFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Registers a file descriptor with the runtime, to wait until it is ready for `interest`.
///
/// # Errors
/// For descriptors that cannot be waited for, such as regular files, and when the system is out of resources.
///
/// # Panics
/// Outside a tokio runtime.
#[expect(unsafe_code, reason = "tokio's constructor trusts its caller to keep the descriptor open")]
pub fn async_fd(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and stays the same descriptor for as long as it lives, and it lives inside the
    // `AsyncFd`, which hands out only shared references to it.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(Into::into)
}
