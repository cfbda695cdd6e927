//! The CPU time, memory and threads of processes.

use std::{fs, time::Duration};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

/// The CPU time of all threads of this process.
pub(crate) fn own_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// The CPU time of the children of this process that have exited.
pub(crate) fn children_cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    let micros = |time: nix::sys::time::TimeVal| u64::try_from(time.num_microseconds()).unwrap_or(0);
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

/// The CPU time of the live threads of another process, in nanoseconds.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let spent = |task: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("{task}/schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(tasks(pid).iter().filter_map(|task| spent(task)).sum())
}

/// How often the live threads of a process have gone to sleep. Each time, they were woken again.
pub(crate) fn sleeps_of(pid: u32) -> u64 {
    tasks(pid).iter().filter_map(|task| field(&format!("{task}/status"), "voluntary_ctxt_switches:")).sum()
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

pub(crate) fn memory_of(pid: u32) -> Memory {
    let path = format!("/proc/{pid}/smaps_rollup");
    let kib = |name| field(&path, name).unwrap_or(0);
    Memory { rss: kib("Rss:"), pss: kib("Pss:"), anonymous: kib("Anonymous:") }
}

/// The peak resident memory of a process, in KiB.
pub(crate) fn peak_of(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/status"), "VmHWM:").unwrap_or(0)
}

pub(crate) fn threads_of(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/status"), "Threads:").unwrap_or(0)
}

/// Raises the limit of open files: hundreds of plugins need more than the usual 1024. Go does this by itself.
pub(crate) fn allow_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn tasks(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// The number after a name in a file of `/proc`.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
