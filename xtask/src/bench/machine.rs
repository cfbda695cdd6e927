//! The machine that was measured on, and what else it did.

use std::fs;
use std::thread;

use serde::{Deserialize, Serialize};

/// As much as a reader needs to judge the numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_gib: f64,
    pub(super) kernel: String,
    /// How many processes wanted to run, over the minute before.
    pub(super) load: f64,
    /// The same over the last 15 minutes of the run, with the run's own.
    pub(super) load_at_end: f64,
}

impl Machine {
    pub(super) fn begin() -> Self {
        let kib: f64 = after("/proc/meminfo", "MemTotal:")
            .and_then(|value| value.split_ascii_whitespace().next()?.parse().ok())
            .unwrap_or_default();
        Self {
            processor: after("/proc/cpuinfo", "model name\t:").unwrap_or_else(|| "unknown".to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (kib / f64::from(1 << 20)).round(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            load: load(0),
            load_at_end: 0.0,
        }
    }

    pub(super) fn end(&mut self) {
        self.load_at_end = load(2);
    }

    /// Whether others wanted the cores too.
    pub(super) fn is_busy(&self) -> bool {
        self.load > 0.7
    }
}

/// The rest of the first line that starts so.
fn after(file: &str, start: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(start)).map(|rest| rest.trim().to_owned())
}

/// One of the three averages: over a minute, five, fifteen.
fn load(which: usize) -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').nth(which).and_then(|value| value.parse().ok()).unwrap_or_default()
}
