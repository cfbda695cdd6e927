//! A set of durations, with percentiles and a histogram.

use std::{fmt, time::Duration};

use serde_json::json;

use crate::ui::{duration::show, style};

/// At least one duration, in ascending order.
#[derive(Debug)]
pub(super) struct Samples(Vec<Duration>);

/// A row of a histogram: the number of samples above the previous row and up to `upto`.
#[derive(Debug)]
pub(super) struct Row {
    /// `None` in a last row without an upper limit.
    upto: Option<Duration>,
    count: usize,
    /// The length of the bar, from 0 to 1.
    share: f64,
}

impl Samples {
    pub(super) fn new(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        (!samples.is_empty()).then_some(Self(samples))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the smallest sample that is not less than this share of the samples. `share` is from 0 to 1.
    pub(super) fn percentile(&self, share: f64) -> Duration {
        let nth = (share * self.0.len() as f64).ceil() as usize;
        self.0[nth.clamp(1, self.0.len()) - 1]
    }

    fn mean(&self) -> Duration {
        let total: Duration = self.0.iter().sum();
        total / u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let microseconds = |duration: Duration| duration.as_nanos() as f64 / 1e3;
        let at = |share| microseconds(self.percentile(share));
        json!({
            "count": self.0.len(),
            "mean_us": microseconds(self.mean()),
            "min_us": microseconds(self.0[0]),
            "p50_us": at(0.5),
            "p90_us": at(0.9),
            "p99_us": at(0.99),
            "p999_us": at(0.999),
            "max_us": at(1.0),
        })
    }

    /// Returns the histogram. The limit of each row is about 1.5 times the limit of the row before.
    pub(super) fn histogram(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut rest = &self.0[..];
        for upto in steps() {
            let count = rest.partition_point(|sample| *sample <= upto);
            rest = &rest[count..];
            if count > 0 || !rows.is_empty() {
                rows.push(Row { upto: Some(upto), count, share: 0.0 });
            }
            if rest.is_empty() || rows.len() + 1 == MOST_ROWS {
                break;
            }
        }
        if !rest.is_empty() {
            rows.push(Row { upto: None, count: rest.len(), share: 0.0 });
        }
        let most = rows.iter().map(|row| row.count).max().unwrap_or(1);
        for row in &mut rows {
            row.share = row.count as f64 / most as f64;
        }
        rows
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upto = self.upto.map_or_else(|| "above".to_owned(), |upto| format!("≤ {}", show(upto)));
        let eighths = (self.share * WIDTH * 8.0).ceil() as usize;
        let mut bar = "█".repeat(eighths / 8);
        bar.extend(PARTS.chars().nth((eighths % 8).wrapping_sub(1)));
        write!(f, "{} {bar} {}", style::dim(format_args!("{upto:>9}")), self.count)
    }
}

/// Returns round durations from a microsecond to some minutes.
fn steps() -> impl Iterator<Item = Duration> {
    let decades = (0..9).map(|power| 10_u64.pow(power));
    decades.flat_map(|decade| {
        [100, 150, 220, 330, 470, 680].map(|step| Duration::from_nanos(step * decade * 10))
    })
}

const WIDTH: f64 = 40.0;

/// The last character of a bar, in eighths of a column.
const PARTS: &str = "▏▎▍▌▋▊▉";

const MOST_ROWS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(microseconds: impl IntoIterator<Item = u64>) -> Samples {
        Samples::new(microseconds.into_iter().map(Duration::from_micros).collect()).unwrap()
    }

    #[test]
    fn percentiles_are_samples() {
        let hundred = samples((1..=100).rev());
        let at = |share| hundred.percentile(share).as_micros();
        assert_eq!((at(0.0), at(0.5), at(0.9), at(0.99), at(1.0)), (1, 50, 90, 99, 100));
        let one = samples([7]);
        assert_eq!((one.percentile(0.5), one.percentile(0.999)), (one.0[0], one.0[0]));
        assert!(Samples::new(Vec::new()).is_none());
    }

    #[test]
    fn every_sample_is_in_a_row() {
        for case in [vec![1], vec![5, 90, 100, 120, 3_000_000], (1..5000).collect(), vec![3_600_000_000, 1]] {
            let rows = samples(case.clone()).histogram();
            assert_eq!(rows.iter().map(|row| row.count).sum::<usize>(), case.len());
            assert!((1..=MOST_ROWS).contains(&rows.len()), "{rows:?}");
            assert!(rows.iter().any(|row| row.share == 1.0));
        }
    }

    #[test]
    fn rows_are_drawn_to_scale() {
        let rows = samples([100, 100, 100, 100, 120]).histogram();
        let drawn: Vec<_> = rows.iter().map(|row| row.to_string().matches('█').count()).collect();
        assert_eq!(drawn, [40, 10]);
    }
}
