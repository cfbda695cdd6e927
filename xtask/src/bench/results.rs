//! What was measured, as it is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::pairs::{Pair, Programs};
use super::plan::Better;
use crate::workspace::{self, Outcome};

/// One run of `cargo xtask bench`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// The day, in UTC.
    pub(super) date: String,
    /// Whether rounds were few and short.
    pub(super) quick: bool,
    pub(super) machine: Machine,
    /// What each pair was built with.
    pub(super) versions: BTreeMap<Pair, String>,
    pub(super) rows: Vec<Row>,
}

/// One number of one figure, for every pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) figure: String,
    pub(super) what: String,
    pub(super) unit: String,
    pub(super) better: Better,
    /// What the first ratio shall be: at most where lower is better, else at least.
    pub(super) target: Option<f64>,
    pub(super) headline: bool,
    pub(super) pairs: BTreeMap<Pair, Spread>,
    /// Ours divided by theirs, within a round.
    pub(super) ratios: BTreeMap<Pair, Spread>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) failures: Vec<String>,
}

/// The middle and the ends of several values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Report {
    pub(super) fn begin(quick: bool, programs: &Programs) -> Self {
        let versions = programs.pairs.iter().map(|(pair, built)| (*pair, built.toolchain.clone())).collect();
        Self { date: today(), quick, machine: Machine::begin(), versions, rows: Vec::new() }
    }

    /// The results that the repository has.
    pub(super) fn read() -> Outcome<Self> {
        let text = fs::read_to_string(Self::file())
            .map_err(|error| format!("{}: {error}; run `cargo xtask bench`", Self::file().display()))?;
        Self::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Outcome<Self> {
        Ok(serde_json::from_str(text)?)
    }

    pub(super) fn write(&self) -> Outcome {
        let file = Self::file();
        fs::create_dir_all(file.parent().ok_or("a file without a directory")?)?;
        Ok(fs::write(file, self.to_json()?)?)
    }

    pub(super) fn to_json(&self) -> Outcome<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    fn file() -> PathBuf {
        workspace::root().join("docs/performance/results.json")
    }
}

impl Row {
    /// The pair that the target speaks of, and the ratio to it.
    pub(super) fn ratio(&self) -> Option<(Pair, Spread)> {
        self.ratios.first_key_value().map(|(pair, spread)| (*pair, *spread))
    }

    /// Whether the target is met, if there is one.
    pub(super) fn meets(&self) -> Option<bool> {
        let (target, (_, ratio)) = (self.target?, self.ratio()?);
        Some(match self.better {
            Better::Lower => ratio.median <= target,
            Better::Higher => ratio.median >= target,
        })
    }
}

impl Spread {
    /// Of at least one value.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        let median = (at(last / 2) + at(sorted.len() / 2)) / 2.0;
        Self { median: rounded(median), min: rounded(at(0)), max: rounded(at(last)) }
    }
}

/// To four significant digits: more were never measured.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// The day in UTC as `2026-01-31`.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    date_of(seconds / 86_400)
}

/// The day with this number since 1970, by the calendar that begins its years in March.
fn date_of(days: u64) -> String {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_the_ends() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0]).median, 2.5);
        assert_eq!(Spread::of(&[123_456.0]).median, 123_500.0);
    }

    #[test]
    fn days_have_dates() {
        for (days, date) in
            [(0, "1970-01-01"), (19_782, "2024-02-29"), (19_783, "2024-03-01"), (20_819, "2027-01-01")]
        {
            assert_eq!(date_of(days), date);
        }
    }
}
