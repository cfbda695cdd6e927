//! Processes: their parents, their start, their exit.
#![expect(unsafe_code, reason = "the standard library knows no process but the children of this one")]

use std::{
    io,
    mem::size_of,
    os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    ptr::null_mut,
    time::Duration,
};

use windows_sys::{
    Wdk::System::Threading::{NtQueryInformationProcess, ProcessBasicInformation},
    Win32::{
        Foundation::{ERROR_INVALID_PARAMETER, FILETIME, HANDLE, WAIT_TIMEOUT},
        System::Threading::{
            GetCurrentProcess, GetProcessTimes, OpenProcess, PROCESS_BASIC_INFORMATION,
            PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, WaitForSingleObject,
        },
    },
};

/// The pid of the process that started this one. It may have exited, and its pid may belong to another process.
pub(super) fn parent_pid() -> io::Result<u32> {
    let mut found = PROCESS_BASIC_INFORMATION::default();
    let size = size_of::<PROCESS_BASIC_INFORMATION>() as u32;
    // SAFETY: the call writes at most `size` bytes to `found`, which is a plain structure of this class.
    let status = unsafe {
        NtQueryInformationProcess(
            GetCurrentProcess(),
            ProcessBasicInformation,
            (&raw mut found).cast(),
            size,
            null_mut(),
        )
    };
    if status < 0 {
        return Err(io::Error::other(format!("the system does not name the parent: status {status:#x}")));
    }
    match u32::try_from(found.InheritedFromUniqueProcessId) {
        Ok(0) | Err(_) => Err(io::Error::other("the system names no parent")),
        Ok(pid) => Ok(pid),
    }
}

/// Opens a process, to wait for its exit. `None` if there is no process with this pid.
pub(super) fn open(pid: u32) -> io::Result<Option<OwnedHandle>> {
    let access = PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;
    // SAFETY: the call has no pointers.
    let handle = unsafe { OpenProcess(access, 0, pid) };
    if !handle.is_null() {
        // SAFETY: the handle has just been opened, and is owned by nothing else.
        return Ok(Some(unsafe { OwnedHandle::from_raw_handle(handle) }));
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(ERROR_INVALID_PARAMETER as i32) { Ok(None) } else { Err(error) }
}

/// When the process started, in units of the system's clock.
pub(super) fn start_time(process: &OwnedHandle) -> io::Result<u64> {
    start_time_of(process.as_raw_handle())
}

/// When this process started.
pub(super) fn own_start_time() -> io::Result<u64> {
    // SAFETY: the call has no arguments, and its result needs no close.
    start_time_of(unsafe { GetCurrentProcess() })
}

/// Waits for the exit of a process. Returns whether it has exited within `timeout`.
pub(super) fn wait(process: &OwnedHandle, timeout: Duration) -> bool {
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX - 1);
    // SAFETY: the handle is open, because `process` is borrowed.
    let waited = unsafe { WaitForSingleObject(process.as_raw_handle(), timeout) };
    waited != WAIT_TIMEOUT
}

fn start_time_of(process: HANDLE) -> io::Result<u64> {
    let [mut started, mut exited, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the handle is open, and the call writes four times, for each of which there is room.
    let done = unsafe {
        GetProcessTimes(process, &raw mut started, &raw mut exited, &raw mut kernel, &raw mut user)
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::from(started.dwHighDateTime) << 32 | u64::from(started.dwLowDateTime))
}
