//! The limits of processes, and the files that they have open.

use std::{fs, io};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// A limit of a process that is lowered until this value is dropped.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// `None` is this process.
    pid: Option<Pid>,
    resource: Resource,
    before: Rlimit,
}

impl Lowered {
    /// Lets a process open no further file.
    pub(crate) fn files_of(pid: u32) -> io::Result<Self> {
        Self::of(pid, Resource::Nofile, 0)
    }

    /// Lets a process have this many more bytes of address space.
    pub(crate) fn memory_of(pid: u32, more: u64) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
        let size = size.and_then(|size| size.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Self::of(pid, Resource::As, size.ok_or(io::ErrorKind::InvalidData)? * 1024 + more)
    }

    fn of(pid: u32, resource: Resource, to: u64) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        // The process has the upper limit of this one, which only some users may raise.
        let maximum = getrlimit(resource).maximum;
        let before = prlimit(Some(pid), resource, Rlimit { current: Some(to), maximum })?;
        Ok(Self { pid: Some(pid), resource, before })
    }

    /// Lets this process open this many more files.
    pub(crate) fn own_files(more: u64) -> io::Result<Self> {
        let open: Vec<u64> = descriptors()?;
        let mut limit = 0;
        let mut free = 0;
        while free < more {
            free += u64::from(!open.contains(&limit));
            limit += 1;
        }
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: before.maximum })?;
        Ok(Self { pid: None, resource: Resource::Nofile, before })
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        // A process that is gone needs no limit.
        let _ = match self.pid {
            Some(pid) => prlimit(Some(pid), self.resource, self.before).map(drop),
            None => setrlimit(self.resource, self.before),
        };
    }
}

/// The numbers of the open files of this process.
fn descriptors() -> io::Result<Vec<u64>> {
    let entries = fs::read_dir("/proc/self/fd")?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}
