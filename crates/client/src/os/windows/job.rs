//! Job objects: a process, and all processes that it starts.
#![expect(unsafe_code, reason = "the standard library has no job objects")]

use std::{
    io,
    os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    ptr,
};

use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    TerminateJobObject,
};

/// A job without a name. Only this process has a handle of it, which no child inherits.
#[derive(Debug)]
pub(super) struct Job(OwnedHandle);

impl Job {
    /// Makes a job. If it `dies_with_host`, the system kills all its processes when the handle is closed: by a drop, or
    /// when this process ends, in any way.
    pub(super) fn new(dies_with_host: bool) -> io::Result<Self> {
        // SAFETY: both pointers may be null: no attributes, and no name.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was opened just now, and has no other owner.
        let job = Self(unsafe { OwnedHandle::from_raw_handle(job) });
        if dies_with_host {
            job.die_with_host(true)?;
        }
        Ok(job)
    }

    /// Chooses whether the processes of the job are killed when the handle is closed.
    pub(super) fn die_with_host(&self, dies: bool) -> io::Result<()> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = if dies { JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE } else { 0 };
        let size = size_of_val(&limits) as u32;
        // SAFETY: the pointer is that of a structure of the class and the size that are given, and the handle is open.
        let set = unsafe {
            let limits = ptr::from_ref(&limits).cast();
            SetInformationJobObject(self.0.as_raw_handle(), JobObjectExtendedLimitInformation, limits, size)
        };
        succeeded(set)
    }

    /// Puts a process into the job. All that the process starts from now on is in the job too.
    pub(super) fn add(&self, process: &OwnedHandle) -> io::Result<()> {
        // SAFETY: both handles are open as long as they are borrowed.
        succeeded(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process.as_raw_handle()) })
    }

    /// Ends all processes of the job at once with this exit status.
    pub(super) fn terminate(&self, status: u32) -> io::Result<()> {
        // SAFETY: the handle is open as long as it is borrowed.
        succeeded(unsafe { TerminateJobObject(self.0.as_raw_handle(), status) })
    }
}

fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
