//! Running a program on given cores only.

use std::{ffi::OsString, io, os::unix::process::CommandExt as _, process::Command};

/// Replaces this process with the program. Its threads and children inherit the cores.
pub(crate) fn run_on(cpus: &[usize], command: &[OsString]) -> io::Error {
    let Some((program, args)) = command.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program is named");
    };
    match pin(cpus) {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => error,
    }
}

#[cfg(target_os = "linux")]
fn pin(cpus: &[usize]) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if cpu >= CpuSet::MAX_CPU {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no core {cpu}")));
        }
        set.set(cpu);
    }
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(not(target_os = "linux"))]
fn pin(_: &[usize]) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system keeps no program on given cores"))
}
