//! Resuming a process that was started suspended.
#![expect(unsafe_code, reason = "the standard library closes the handle of a child's first thread")]

use std::{
    io,
    os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
};

use rpcplugin_core::Pid;
use windows_sys::Win32::{
    Foundation::INVALID_HANDLE_VALUE,
    System::{
        Diagnostics::ToolHelp::{
            CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
        },
        Threading::{OpenThread, ResumeThread, THREAD_SUSPEND_RESUME},
    },
};

/// Resumes the threads of a process, of which a process that was started suspended has one.
pub(super) fn resume(pid: Pid) -> io::Result<()> {
    let mut resumed = false;
    for thread in threads_of(pid)? {
        resume_thread(thread)?;
        resumed = true;
    }
    if resumed { Ok(()) } else { Err(io::Error::other("the process that was started has no thread")) }
}

/// The ids of a process's threads, out of those of all processes.
fn threads_of(pid: Pid) -> io::Result<Vec<u32>> {
    // SAFETY: the function takes numbers only.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was opened just now, and has no other owner.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..Default::default() };
    let mut found = Vec::new();
    // SAFETY: the handle is open, and the structure has its size in it.
    let mut there = unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut entry) };
    while there != 0 {
        if entry.th32OwnerProcessID == pid.get() {
            found.push(entry.th32ThreadID);
        }
        // SAFETY: as above.
        there = unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut entry) };
    }
    Ok(found)
}

fn resume_thread(id: u32) -> io::Result<()> {
    // SAFETY: the function takes numbers only.
    let thread = unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, id) };
    if thread.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was opened just now, and has no other owner.
    let thread = unsafe { OwnedHandle::from_raw_handle(thread) };
    // SAFETY: the handle is open.
    match unsafe { ResumeThread(thread.as_raw_handle()) } {
        u32::MAX => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
