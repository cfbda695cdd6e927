//! The budget of restarts.

use std::{collections::VecDeque, time::Duration};

use rpcplugin_config::SupervisionConfig;
use tokio::time::Instant;

use crate::backoff::Backoff;

/// Counts the restarts within the window.
#[derive(Debug)]
pub(super) struct Budget {
    config: SupervisionConfig,
    /// The times of the restarts within the window, the oldest first.
    made: VecDeque<Instant>,
}

/// A restart that the budget allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Restart {
    /// The number of the restart within the window, counted from 1.
    pub(super) attempt: u32,
    /// The pause before it.
    pub(super) delay: Duration,
}

impl Budget {
    pub(super) fn new(config: SupervisionConfig) -> Self {
        Self { config, made: VecDeque::new() }
    }

    /// Takes a restart from the budget. `None` if the window has no place for another.
    pub(super) fn draw(&mut self, now: Instant) -> Option<Restart> {
        while self.made.front().is_some_and(|made| now.duration_since(*made) >= self.config.window) {
            self.made.pop_front();
        }
        let made = self.made_within_window();
        if made >= self.config.max_restarts {
            return None;
        }
        let SupervisionConfig { initial, multiplier, max, .. } = self.config;
        let delay = Backoff { initial, multiplier, max: max.max(initial) }.pause(made);
        // A restart counts from the end of its pause. Otherwise long pauses would move restarts out of the window.
        self.made.push_back(now + delay);
        Some(Restart { attempt: made + 1, delay })
    }

    /// The number of restarts within the window.
    pub(super) fn made_within_window(&self) -> u32 {
        u32::try_from(self.made.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(change: impl FnOnce(&mut SupervisionConfig)) -> Budget {
        let mut config = SupervisionConfig::default();
        change(&mut config);
        Budget::new(config)
    }

    #[tokio::test(start_paused = true)]
    async fn old_restarts_leave_the_window() {
        let mut budget = budget(|config| {
            config.max_restarts = 3;
            config.window = Duration::from_secs(60);
            config.initial = Duration::from_secs(1);
            config.multiplier = 3.0;
            config.max = Duration::from_secs(5);
        });
        let now = Instant::now();
        let delays: Vec<_> = (0..3).map(|_| budget.draw(now).unwrap().delay.as_secs()).collect();
        assert_eq!(delays, [1, 3, 5]);
        assert_eq!(budget.draw(now), None);
        assert_eq!(budget.draw(now + Duration::from_secs(60)), None, "the first was made a second later");
        let first_forgotten = budget.draw(now + Duration::from_secs(61)).unwrap();
        assert_eq!(first_forgotten, Restart { attempt: 3, delay: Duration::from_secs(5) });
    }

    #[tokio::test(start_paused = true)]
    async fn extreme_settings_have_limited_pauses() {
        let now = Instant::now();
        assert_eq!(budget(|config| config.max_restarts = 0).draw(now), None);
        let mut steep = budget(|config| {
            config.max_restarts = u32::MAX;
            config.multiplier = f64::MAX;
            config.max = Duration::from_secs(7);
        });
        steep.draw(now);
        steep.draw(now);
        assert_eq!(steep.draw(now).unwrap().delay, Duration::from_secs(7));
        let mut immediate = budget(|config| {
            config.max_restarts = u32::MAX;
            config.initial = Duration::ZERO;
            config.multiplier = f64::MAX;
        });
        for _ in 0..5 {
            assert_eq!(immediate.draw(now).unwrap().delay, Duration::ZERO);
        }
    }
}
