//! How much a pipe holds.
#![expect(unsafe_code, reason = "the standard library has no look into a pipe")]

use std::{fs::File, io, os::windows::io::AsRawHandle as _, ptr::null_mut};

use windows_sys::Win32::System::Pipes::PeekNamedPipe;

/// How many bytes can be read from the pipe.
///
/// # Errors
/// When the last writing end is closed and nothing is left to read.
pub(super) fn bytes_available(pipe: &File) -> io::Result<u32> {
    let mut available = 0;
    // SAFETY: the handle is open, because `pipe` is borrowed. The call writes one number, and nothing through a null pointer.
    let done = unsafe {
        PeekNamedPipe(pipe.as_raw_handle(), null_mut(), 0, null_mut(), &raw mut available, null_mut())
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(available) }
}
