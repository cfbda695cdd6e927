//! Linux, by `/proc`.

use std::{fs, os::unix::fs::MetadataExt as _};

/// Names the processes that this one can see: a part of the boot id of the kernel, and the number of the namespace of pids.
pub(crate) fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot: String = boot.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    let namespace = fs::metadata("/proc/self/ns/pid").ok()?.ino();
    (boot.len() == 16).then(|| format!("{boot}-{namespace}"))
}

/// The start time of a process, in ticks since the boot. `None` if no such process runs.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may have spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if state == "Z" {
        return None;
    }
    // The 22nd field of the line; the state is the third.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_a_start_time() {
        assert!(start_time(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(start_time(u32::MAX), None);
        assert!(machine().is_some());
    }
}
