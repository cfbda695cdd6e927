//! The clock of the machine, which other programs see as well.

use std::{io, time::Instant};

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

/// The clock is some hours from the right time, until this value is dropped.
#[derive(Debug)]
pub(crate) struct OtherTime {
    /// When the clock was set, and the right time then.
    since: Instant,
    right: Timespec,
}

impl OtherTime {
    /// Sets the clock, which needs root.
    pub(crate) fn set(hours: i64) -> io::Result<Self> {
        let (since, right) = (Instant::now(), clock_gettime(ClockId::Realtime));
        clock_settime(ClockId::Realtime, Timespec { tv_sec: right.tv_sec + hours * 3600, ..right })?;
        Ok(Self { since, right })
    }
}

impl Drop for OtherTime {
    fn drop(&mut self) {
        let passed = self.since.elapsed();
        let nanos = self.right.tv_nsec + i64::from(passed.subsec_nanos());
        let seconds = passed.as_secs() as i64 + nanos / 1_000_000_000;
        let now = Timespec { tv_sec: self.right.tv_sec + seconds, tv_nsec: nanos % 1_000_000_000 };
        let _ = clock_settime(ClockId::Realtime, now);
    }
}
