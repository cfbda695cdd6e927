//! Calls of the system for which the standard library has nothing.
#![expect(unsafe_code, reason = "the functions of windows-sys are unsafe")]

use std::{
    io,
    os::windows::io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle},
    time::Duration,
};

use windows_sys::Win32::{
    Foundation::{FILETIME, WAIT_TIMEOUT},
    System::Threading::{
        GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
        PROCESS_TERMINATE, TerminateProcess, WaitForSingleObject,
    },
};

pub(super) use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP as NEW_PROCESS_GROUP;

/// The right to ask about a process.
pub(super) const QUERY: u32 = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;

/// The right to end a process.
pub(super) const TERMINATE: u32 = PROCESS_TERMINATE;

/// Opens a process with these rights.
pub(super) fn open(pid: u32, rights: u32) -> io::Result<OwnedHandle> {
    // SAFETY: the function has no pointers.
    let handle = unsafe { OpenProcess(rights, 0, pid) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just opened the handle, and no other code has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Whether a process has not ended.
pub(super) fn runs(process: BorrowedHandle<'_>) -> bool {
    // SAFETY: the handle is open.
    unsafe { WaitForSingleObject(process.as_raw_handle(), 0) == WAIT_TIMEOUT }
}

/// Ends a process with exit code 1.
pub(super) fn terminate(process: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    done(unsafe { TerminateProcess(process.as_raw_handle(), 1) })
}

/// The time that the threads of a process have spent in the program and in the system.
pub(super) fn cpu_time(process: BorrowedHandle<'_>) -> io::Result<Duration> {
    let mut times = [FILETIME::default(); 4];
    let [created, exited, system, user] = &mut times;
    // SAFETY: the handle is open, and each time has room for a result.
    done(unsafe { GetProcessTimes(process.as_raw_handle(), created, exited, system, user) })?;
    let ticks = |time: &FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    // A tick takes 100 ns.
    Ok(Duration::from_nanos(100 * (ticks(&times[2]) + ticks(&times[3]))))
}

/// The result of a function that returns a `BOOL`.
fn done(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
