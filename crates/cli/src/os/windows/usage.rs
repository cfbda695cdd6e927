//! The processor and the memory that a process uses.

use std::{os::windows::io::AsHandle as _, time::Duration};

use rpcplugin::host::Pid;

use super::kernel;

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessUsage {
    /// The time on a processor since the start of the process, in user mode and in the kernel.
    pub(crate) processor: Duration,
    /// The resident memory in bytes.
    pub(crate) memory: u64,
}

impl ProcessUsage {
    /// Asks the system. Returns `None` for a process that has exited, or about which this user may not ask.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        let process = kernel::open(pid.get()).ok()?;
        let process = process.as_handle();
        let processor = kernel::processor_time(process).ok()?;
        let memory = kernel::resident_memory(process).ok()?;
        Some(Self { processor, memory })
    }
}
