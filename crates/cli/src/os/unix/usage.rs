//! The processor and the memory that a process uses.

use std::{fs, time::Duration};

use rpcplugin::host::Pid;
use rustix::param::{clock_ticks_per_second, page_size};

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessUsage {
    /// The time on a processor since the start of the process, in user mode and in the kernel.
    pub(crate) processor: Duration,
    /// The resident memory in bytes.
    pub(crate) memory: u64,
}

impl ProcessUsage {
    /// Reads `/proc`. Returns `None` for a process that has exited, and on a system without `/proc`.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// Reads `/proc/PID/stat`: proc_pid_stat(5), fields 14 and 15 (time) and 24 (pages).
fn parse(stat: &str) -> Option<ProcessUsage> {
    // The name of the program may have blanks and parentheses. The fields from the third on follow.
    let (_, fields) = stat.rsplit_once(") ")?;
    let field = |number: usize| fields.split(' ').nth(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)?.checked_add(field(15)?)?;
    let per_second = clock_ticks_per_second().max(1);
    let processor = Duration::from_millis(ticks.checked_mul(1000)? / per_second);
    let memory = field(24)?.checked_mul(u64::try_from(page_size()).ok()?)?;
    Some(ProcessUsage { processor, memory })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_behind_the_name_are_read() {
        let rest = "S 1 1 1 0 -1 4194304 100 0 0 0 7 5 0 0 20 0 4 0 123 4096000 300 18446744073709551615";
        let usage = parse(&format!("4711 (a) b (c) {rest} 1 1\n")).unwrap();
        assert_eq!(usage.memory, 300 * u64::try_from(page_size()).unwrap());
        assert_eq!(usage.processor, Duration::from_millis(12_000 / clock_ticks_per_second()));
        for wrong in ["", "1 (a)", "1 (a) S 1", "1 (a) S x x x x x x x x x x x x x x x x x x x x x x"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn this_process_uses_memory() {
        if std::path::Path::new("/proc/self/stat").exists() {
            assert!(ProcessUsage::of(Pid::current()).is_some_and(|usage| usage.memory > 0));
        }
    }
}
