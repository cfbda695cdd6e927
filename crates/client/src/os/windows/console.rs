//! Consoles: asking a process to end, and printing.
#![expect(
    unsafe_code,
    reason = "the standard library has no functions of consoles for other handles than its own"
)]

use std::{
    io,
    os::windows::io::{AsRawHandle as _, BorrowedHandle},
    ptr,
};

use rpcplugin_core::Pid;
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent, GetConsoleMode, WriteConsoleW,
};

/// Sends Ctrl-Break to the group that this process leads. Fails if the process does not share the console of this process.
pub(super) fn send_break(leader: Pid) -> io::Result<()> {
    // SAFETY: the function takes numbers only.
    succeeded(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, leader.get()) })
}

pub(super) fn is_console(handle: BorrowedHandle<'_>) -> bool {
    let mut mode = 0;
    // SAFETY: the handle is open as long as it is borrowed, and the mode is written into a number of its type.
    unsafe { GetConsoleMode(handle.as_raw_handle(), &raw mut mode) != 0 }
}

/// Prints text on a console, whatever its code page is. Returns how many UTF-16 units were written.
pub(super) fn print(console: BorrowedHandle<'_>, text: &[u16]) -> io::Result<usize> {
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut written = 0;
    // SAFETY: the handle is open as long as it is borrowed, the text has the length that is given, and the count is
    // written into a number of its type.
    succeeded(unsafe {
        WriteConsoleW(console.as_raw_handle(), text.as_ptr(), length, &raw mut written, ptr::null())
    })?;
    Ok(written as usize)
}

fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
