//! Calls of the system for which the standard library has nothing: jobs, exit codes, and paths and usage of
//! running programs.
#![expect(unsafe_code, reason = "the functions of windows-sys are unsafe")]

#[cfg(feature = "ui")]
use std::time::Duration;
use std::{
    ffi::OsString,
    io,
    os::windows::{
        ffi::OsStringExt as _,
        io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle},
    },
    path::PathBuf,
    ptr,
};

use tokio::process::Child;
use windows_sys::Win32::{
    Foundation::{HANDLE, WAIT_OBJECT_0, WAIT_TIMEOUT},
    System::{
        JobObjects::{
            AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
            JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
        },
        Threading::{
            GetExitCodeProcess, OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION,
            PROCESS_SYNCHRONIZE, QueryFullProcessImageNameW, TerminateProcess, WaitForSingleObject,
        },
    },
};

#[cfg(feature = "ui")]
use windows_sys::Win32::{
    Foundation::FILETIME,
    System::{
        ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS},
        Threading::GetProcessTimes,
    },
};

pub(super) use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP as NEW_PROCESS_GROUP;

/// A job object. The system ends its processes when its handle is closed.
#[derive(Debug)]
pub(super) struct Job(OwnedHandle);

impl Job {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: both pointers may be null: no attributes, no name.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        let job = Self(owned(job)?);
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        // SAFETY: the handle is open, and the pointer leads to a structure of the class and of the size that are given.
        done(unsafe {
            SetInformationJobObject(
                job.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                ptr::from_ref(&limits).cast(),
                size_of_val(&limits) as u32,
            )
        })?;
        Ok(job)
    }

    /// Adds a process, and all that it starts from now on.
    pub(super) fn add(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: both handles are open.
        done(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process.as_raw_handle()) })
    }
}

/// The handle of a child that is still held.
pub(super) fn handle(child: &Child) -> Option<BorrowedHandle<'_>> {
    // SAFETY: the child keeps its handle open for as long as it is borrowed.
    child.raw_handle().map(|handle| unsafe { BorrowedHandle::borrow_raw(handle) })
}

/// Opens a process to ask about it.
pub(super) fn open(pid: u32) -> io::Result<OwnedHandle> {
    let access = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
    // SAFETY: the function has no pointers.
    owned(unsafe { OpenProcess(access, 0, pid) })
}

/// Ends a process with exit code 1.
pub(super) fn terminate(process: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    done(unsafe { TerminateProcess(process.as_raw_handle(), 1) })
}

/// Returns the exit code of a process that has ended.
pub(super) fn exit_code(process: BorrowedHandle<'_>) -> io::Result<Option<u32>> {
    // SAFETY: the handle is open.
    match unsafe { WaitForSingleObject(process.as_raw_handle(), 0) } {
        WAIT_TIMEOUT => Ok(None),
        WAIT_OBJECT_0 => {
            let mut code = 0;
            // SAFETY: the handle is open, and the code has room for the result.
            done(unsafe { GetExitCodeProcess(process.as_raw_handle(), &raw mut code) })?;
            Ok(Some(code))
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns the path of the program that a process executes.
pub(super) fn image_path(process: BorrowedHandle<'_>) -> io::Result<PathBuf> {
    let mut path = vec![0_u16; LONGEST_PATH];
    let mut length = LONGEST_PATH as u32;
    // SAFETY: the handle is open, and the path has room for as many units as the length says.
    done(unsafe {
        QueryFullProcessImageNameW(
            process.as_raw_handle(),
            PROCESS_NAME_WIN32,
            path.as_mut_ptr(),
            &raw mut length,
        )
    })?;
    Ok(OsString::from_wide(&path[..length as usize]).into())
}

/// Returns the time that a process has had a processor, in user mode and in the kernel.
#[cfg(feature = "ui")]
pub(super) fn processor_time(process: BorrowedHandle<'_>) -> io::Result<Duration> {
    let mut times = [FILETIME::default(); 4];
    let [start, end, kernel, user] = &mut times;
    // SAFETY: the handle is open, and each time has room for a result.
    done(unsafe { GetProcessTimes(process.as_raw_handle(), start, end, kernel, user) })?;
    // In units of 100 ns.
    let units = |time: &FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Ok(Duration::from_nanos(units(kernel).saturating_add(units(user)).saturating_mul(100)))
}

/// Returns the resident memory of a process, in bytes.
#[cfg(feature = "ui")]
pub(super) fn resident_memory(process: BorrowedHandle<'_>) -> io::Result<u64> {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = size_of_val(&counters) as u32;
    // SAFETY: the handle is open, and the counters have the size that is given.
    done(unsafe { K32GetProcessMemoryInfo(process.as_raw_handle(), &raw mut counters, size) })?;
    Ok(counters.WorkingSetSize as u64)
}

/// Takes a handle that the system has just returned.
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is open, and only the caller has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// The result of a function that returns a `BOOL`.
fn done(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The longest path of a file, in units of 16 bits.
const LONGEST_PATH: usize = 32_768;
