//! The printed result.

use std::{collections::BTreeMap, fmt, time::Duration};

/// Named numbers.
#[derive(Debug, Default)]
pub(crate) struct Results(BTreeMap<&'static str, f64>);

impl Results {
    /// Adds a number.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: f64) -> Self {
        self.0.insert(name, value);
        self
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The value at this share of the sorted values.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (sorted.len() as f64 * share) as usize;
    sorted.get(rank.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The median.
pub(crate) fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    percentile(&values, 0.5)
}
