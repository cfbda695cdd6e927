//! Reading what a child prints.
#![expect(unsafe_code, reason = "tokio takes handles of pipes as they are")]

use std::{
    io,
    os::windows::io::{IntoRawHandle as _, OwnedHandle},
};

use tokio::net::windows::named_pipe::NamedPipeServer;

/// The reading end of a pipe that the standard library has made for a child.
///
/// tokio reads it in a thread that waits, and a runtime does not end before such a thread: a plugin that was left running
/// would keep its host. The standard library makes this end for overlapped operations, so that no thread has to wait.
pub(super) fn overlapped(pipe: OwnedHandle) -> io::Result<NamedPipeServer> {
    // SAFETY: the handle is open, and passes to the new owner, who closes it on errors too.
    unsafe { NamedPipeServer::from_raw_handle(pipe.into_raw_handle()) }
}
