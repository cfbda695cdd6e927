//! What is known of the plugin: its state, its process and its calls.

use std::time::{Duration, Instant};

use rpcplugin::host::Pid;

use crate::os::ProcessUsage;

/// The state of the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Starting,
    Running(Running),
    /// Asked to shut down. `again` if a start follows.
    Stopping {
        again: bool,
    },
    /// Not running. The text says why.
    Stopped {
        cause: String,
        is_clean: bool,
    },
}

/// A plugin that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) pid: Option<Pid>,
    pub(super) version: String,
    pub(super) is_secured: bool,
    pub(super) since: Instant,
    /// Where the plugin listens.
    pub(super) endpoint: String,
    /// How another host reaches the plugin.
    pub(super) access: Access,
}

/// How another host reaches the plugin, and whether its calls are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    /// Through this program, which counts the calls. The texts are commands and variables for people.
    Counted(Vec<String>),
    /// Past this program.
    Direct(Vec<String>),
    /// Not at all, because only this program has the key.
    Closed,
}

/// The calls of hosts that have passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CallCounts {
    pub(super) begun: u64,
    pub(super) failed: u64,
    pub(super) open: u64,
    /// Connections of hosts.
    pub(super) hosts: u64,
}

/// A figure that grows, and how fast.
#[derive(Debug, Default)]
pub(super) struct Rate {
    last: Option<(Instant, u64)>,
    per_second: f64,
}

impl Rate {
    /// Takes the value of this moment. Returns how much it has grown in a second since the value before.
    pub(super) fn at(&mut self, now: Instant, value: u64) -> f64 {
        if let Some((before, last)) = self.last.replace((now, value)) {
            let passed = now.saturating_duration_since(before).as_secs_f64();
            let grown = value.saturating_sub(last);
            // Exact up to 2^53.
            #[expect(clippy::cast_precision_loss, reason = "the result is shown with one digit")]
            let grown = grown as f64;
            self.per_second = if passed > 0.0 { grown / passed } else { 0.0 };
        }
        self.per_second
    }

    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }
}

/// The processor and the memory that a process uses.
#[derive(Debug, Default)]
pub(super) struct Load {
    processor: Rate,
    measured: u32,
    memory: Option<u64>,
}

impl Load {
    pub(super) fn measure(&mut self, now: Instant, usage: Option<ProcessUsage>) {
        let Some(usage) = usage else {
            *self = Self::default();
            return;
        };
        self.memory = Some(usage.memory);
        self.processor.at(now, u64::try_from(usage.processor.as_micros()).unwrap_or(u64::MAX));
        self.measured = self.measured.saturating_add(1);
    }

    /// The percentage of one processor since the measurement before.
    pub(super) fn percent(&self) -> Option<f64> {
        let whole = Duration::from_secs(1).as_micros();
        #[expect(clippy::cast_precision_loss, reason = "a million")]
        let whole = whole as f64;
        (self.measured > 1).then(|| self.processor.per_second() / whole * 100.0)
    }

    /// The resident memory in bytes.
    pub(super) fn memory(&self) -> Option<u64> {
        self.memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_per_second() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        assert_eq!(rate.at(start, 10), 0.0);
        assert_eq!(rate.at(start + Duration::from_secs(2), 30), 10.0);
        // A value that shrinks is not negative.
        assert_eq!(rate.at(start + Duration::from_secs(3), 0), 0.0);
        assert_eq!(rate.at(start + Duration::from_secs(3), 9), 0.0);
    }

    #[test]
    fn the_load_needs_two_measurements() {
        let (mut load, start) = (Load::default(), Instant::now());
        let usage = |ms| Some(ProcessUsage { processor: Duration::from_millis(ms), memory: 4096 });
        assert_eq!((load.percent(), load.memory()), (None, None));
        load.measure(start, usage(100));
        assert_eq!((load.percent(), load.memory()), (None, Some(4096)));
        load.measure(start + Duration::from_secs(1), usage(350));
        assert_eq!(load.percent(), Some(25.0));
        load.measure(start + Duration::from_secs(2), None);
        assert_eq!((load.percent(), load.memory()), (None, None));
    }
}
