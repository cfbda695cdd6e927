//! The CPU time, memory and threads of processes.

use std::{os::windows::io::AsHandle as _, time::Duration};

use super::kernel;

/// The CPU time of all threads of this process.
pub(crate) fn own_cpu() -> Duration {
    cpu_of(std::process::id())
}

/// Unknown, and so nothing: the system does not add up the times of children.
pub(crate) fn children_cpu() -> Duration {
    Duration::ZERO
}

/// The CPU time of another process.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let process = kernel::open(pid, kernel::QUERY);
    process.and_then(|process| kernel::cpu_time(process.as_handle())).unwrap_or_default()
}

/// Unknown, and so 0.
pub(crate) fn sleeps_of(_: u32) -> u64 {
    0
}

/// The memory of a process, in KiB.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Memory {
    /// All resident memory.
    pub(crate) rss: u64,
    /// Resident memory, of which shared pages count in proportion.
    pub(crate) pss: u64,
    /// Memory without a file behind it: the cost of one more process of this kind.
    pub(crate) anonymous: u64,
}

/// Unknown, and so 0.
pub(crate) fn memory_of(_: u32) -> Memory {
    Memory::default()
}

/// Unknown, and so 0.
pub(crate) fn peak_of(_: u32) -> u64 {
    0
}

/// Unknown, and so 0.
pub(crate) fn threads_of(_: u32) -> u64 {
    0
}

/// Does nothing: there is no limit that hundreds of plugins reach.
pub(crate) fn allow_many_files() {}
