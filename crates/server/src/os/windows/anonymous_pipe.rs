//! Anonymous pipes: their capacity, and how much they hold.
#![expect(
    unsafe_code,
    reason = "the standard library can neither choose the capacity of a pipe nor look into it"
)]

use std::{
    fs::File,
    io,
    os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    ptr::{null, null_mut},
};

use windows_sys::Win32::System::Pipes::{CreatePipe, PeekNamedPipe};

/// Makes a pipe that holds about this many bytes. Returns the end to read from, then the end to write to. Programs that are
/// started inherit neither.
pub(super) fn create(capacity: u32) -> io::Result<(OwnedHandle, OwnedHandle)> {
    let (mut read, mut write) = (null_mut(), null_mut());
    // SAFETY: the call writes two handles, for which there is room. It accepts a null pointer for the attributes.
    let done = unsafe { CreatePipe(&raw mut read, &raw mut write, null(), capacity) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both handles have just been opened, and are owned by nothing else.
    Ok(unsafe { (OwnedHandle::from_raw_handle(read), OwnedHandle::from_raw_handle(write)) })
}

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
