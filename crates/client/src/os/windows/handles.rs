//! Handles of processes.
#![expect(unsafe_code, reason = "the system's functions take handles and numbers as they are")]

use std::{
    io,
    os::windows::io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle},
};

use rpcplugin_core::Pid;
use tokio::process::Child;
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, TerminateProcess,
};

/// A second handle of a child. As long as it is open, no other process gets the pid.
pub(super) fn of_child(child: &Child) -> io::Result<OwnedHandle> {
    let handle = child.raw_handle().ok_or_else(has_exited)?;
    // SAFETY: the child owns the handle, keeps it open until it has been waited for, and is borrowed meanwhile.
    unsafe { BorrowedHandle::borrow_raw(handle) }.try_clone_to_owned()
}

/// Opens the process that has this pid now, to wait for it and to end it.
pub(super) fn open(pid: Pid) -> io::Result<OwnedHandle> {
    let access = PROCESS_SYNCHRONIZE | PROCESS_TERMINATE | PROCESS_QUERY_LIMITED_INFORMATION;
    // SAFETY: the function takes numbers only.
    let handle = unsafe { OpenProcess(access, 0, pid.get()) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was opened just now, and has no other owner.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Ends a process at once with this exit status.
pub(super) fn terminate(process: &OwnedHandle, status: u32) -> io::Result<()> {
    // SAFETY: the handle is open as long as it is borrowed.
    match unsafe { TerminateProcess(process.as_raw_handle(), status) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn has_exited() -> io::Error {
    io::Error::other("the process has exited")
}
