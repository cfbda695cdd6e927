//! Processes, as `/proc` shows them.

use std::{fs, sync::OnceLock};

/// The scope within which a pid and a start time mean one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidScope {
    /// The boot of the machine.
    pub(crate) boot: String,
    /// The namespaces of pids and of clocks.
    pub(crate) namespaces: String,
    /// The machine, or the container with a machine id of its own.
    pub(crate) machine: String,
}

impl PidScope {
    /// The scope of this process. `None` where `/proc` does not show it.
    pub(crate) fn own() -> Option<&'static Self> {
        static OWN: OnceLock<Option<PidScope>> = OnceLock::new();
        OWN.get_or_init(Self::read).as_ref()
    }

    fn read() -> Option<Self> {
        // A `/proc` of another namespace has other processes under the same pids.
        let is_ours = fs::read_link("/proc/self").ok()?.to_str() == Some(&*std::process::id().to_string());
        if !is_ours {
            return None;
        }
        let read =
            |path: &str| fs::read_to_string(path).map(|text| text.split_whitespace().collect::<String>());
        let namespace = |name: &str| {
            let link = fs::read_link(format!("/proc/self/ns/{name}"));
            link.map(|link| link.to_string_lossy().split_whitespace().collect::<String>())
        };
        Some(Self {
            boot: read("/proc/sys/kernel/random/boot_id").ok()?,
            // Clocks have namespaces since Linux 5.6.
            namespaces: namespace("pid").ok()? + &namespace("time").unwrap_or_default(),
            machine: read("/etc/machine-id").unwrap_or_default()
                + "@"
                + &read("/proc/sys/kernel/hostname").unwrap_or_default(),
        })
    }

    /// Whether the scope is an earlier boot of the machine on which this process runs. Two machines can share a
    /// directory, and machines without an id look alike.
    pub(crate) fn is_earlier_boot(&self) -> bool {
        let Some(own) = Self::own() else { return false };
        self.boot != own.boot && self.machine == own.machine && !own.machine.starts_with('@')
    }

    /// Whether this process sees the processes of the scope.
    pub(crate) fn is_visible(&self) -> bool {
        Self::own().is_some_and(|own| self.boot == own.boot && self.namespaces == own.namespaces)
    }
}

/// When a process started, in clock ticks since the boot of the machine. A pid that has passed to another process has
/// another start time. `None` where there is no `/proc`.
#[must_use]
pub fn start_time(pid: u32) -> Option<String> {
    read_stat(pid).map(|stat| stat.started)
}

/// Whether the process with this pid and start time runs. A process that has ended and waits to be reaped does not run.
pub(crate) fn is_running(pid: u32, started: &str) -> bool {
    match read_stat(pid) {
        Some(Stat { ended, started: now }) => now == started && !ended,
        // A process that cannot be read may run: `/proc` hides processes, and descriptors run out.
        None => {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            pid.is_none_or(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
        }
    }
}

/// The parts of `/proc/PID/stat` that matter here.
struct Stat {
    /// Whether the process has ended and waits to be reaped.
    ended: bool,
    started: String,
}

fn read_stat(pid: u32) -> Option<Stat> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name of the program may hold any character, also brackets. The third column follows it.
    let columns = stat.rsplit_once(") ")?.1;
    let mut columns = columns.split(' ');
    let state = columns.next()?;
    let threads = columns.nth(THREADS - STATE - 1)?;
    let started = columns.nth(START_TIME - THREADS - 1)?.to_owned();
    // A process whose first thread has ended looks like a zombie while its other threads run.
    let ended = state == "X" || state == "Z" && matches!(threads, "0" | "1");
    Some(Stat { ended, started })
}

/// The columns of `/proc/PID/stat`, counted from 1.
const STATE: usize = 3;
const THREADS: usize = 20;
const START_TIME: usize = 22;
