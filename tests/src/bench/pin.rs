//! Running a program on given cores only.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::bench::Measured;

/// Replaces this process with the program. Its threads and children inherit the cores.
pub(crate) fn run(cpus: &[usize], command: &[OsString]) -> Measured<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if cpu >= CpuSet::MAX_CPU {
            return Err(format!("there is no core {cpu}").into());
        }
        set.set(cpu);
    }
    sched_setaffinity(None, &set)?;
    let (program, args) = command.split_first().ok_or("no program is named")?;
    Err(Command::new(program).args(args).exec().into())
}
