//! Pauses that grow from try to try.

use std::time::Duration;

/// Pauses that grow by a factor up to a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) initial: Duration,
    /// A factor below 1 counts as 1.
    pub(crate) multiplier: f64,
    pub(crate) max: Duration,
}

impl Backoff {
    /// The pause with this number, counted from 0.
    pub(crate) fn pause(self, number: u32) -> Duration {
        if self.initial.is_zero() {
            return Duration::ZERO;
        }
        let factor = self.multiplier.max(1.0).powi(i32::try_from(number).unwrap_or(i32::MAX));
        // A product that is too large for a duration is beyond the limit.
        Duration::try_from_secs_f64(self.initial.as_secs_f64() * factor)
            .map_or(self.max, |pause| pause.min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit() {
        let mut backoff =
            Backoff { initial: Duration::from_millis(100), multiplier: 3.0, max: Duration::from_millis(500) };
        let pauses = |backoff: Backoff| [0, 1, 2, u32::MAX].map(|number| backoff.pause(number).as_millis());
        assert_eq!(pauses(backoff), [100, 300, 500, 500]);
        backoff.multiplier = 0.1;
        assert_eq!(pauses(backoff), [100; 4]);
        backoff.multiplier = f64::MAX;
        assert_eq!(pauses(backoff), [100, 500, 500, 500]);
        backoff.initial = Duration::ZERO;
        assert_eq!(pauses(backoff), [0; 4]);
    }
}
