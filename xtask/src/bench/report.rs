//! The results of a run, as they are kept in a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};

use super::figures::{Better, Number};
use super::pairs::{Pair, Programs};
use crate::toolchain::first_line;
use crate::workspace::Outcome;

/// The results of the last whole run, relative to the workspace.
pub(super) const RESULTS: &str = "docs/performance/results.json";

/// One run of `cargo xtask bench`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// The day, in UTC.
    pub(super) date: String,
    /// Whether rounds were few and short.
    pub(super) quick: bool,
    pub(super) machine: Machine,
    /// The tools that each pair was built with.
    pub(super) versions: BTreeMap<Pair, String>,
    pub(super) rows: Vec<Row>,
}

/// The machine that the run was made on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_gib: f64,
    pub(super) kernel: String,
    /// How many processes wanted to run, over the minute before.
    pub(super) load: f64,
    /// The same over the last 15 minutes of the run, the run itself included.
    pub(super) load_at_end: f64,
}

/// One number of one figure, for every pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) figure: String,
    pub(super) what: String,
    pub(super) unit: String,
    pub(super) better: Better,
    /// The first ratio that is wanted: at most where lower is better, else at least.
    pub(super) target: Option<f64>,
    pub(super) headline: bool,
    pub(super) pairs: BTreeMap<Pair, Spread>,
    /// This library's value divided by the other's, within a round.
    pub(super) ratios: BTreeMap<Pair, Spread>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) failures: Vec<String>,
}

/// The median and the extremes of several values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Report {
    pub(super) fn begin(quick: bool, programs: &Programs) -> Outcome<Self> {
        let versions = programs.pairs.iter().map(|(pair, built)| (*pair, built.toolchain.clone())).collect();
        let date = first_line(Command::new("date").args(["-u", "+%F"]))?;
        Ok(Self { date, quick, machine: Machine::here(), versions, rows: Vec::new() })
    }

    pub(super) fn write(&self, file: &Path) -> Outcome {
        Ok(fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }
}

impl Machine {
    fn here() -> Self {
        let after = |file: &str, start: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or("unknown").trim().to_owned()
        };
        let memory = after("/proc/meminfo", "MemTotal:");
        let kib: f64 = memory.split(' ').next().and_then(|value| value.parse().ok()).unwrap_or_default();
        Self {
            processor: after("/proc/cpuinfo", "model name\t:"),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (kib / f64::from(1 << 20)).round(),
            kernel: after("/proc/sys/kernel/osrelease", ""),
            load: load(0),
            load_at_end: 0.0,
        }
    }

    pub(super) fn end(&mut self) {
        self.load_at_end = load(2);
    }

    /// Whether other programs wanted the cores too.
    pub(super) fn is_busy(&self) -> bool {
        self.load > 0.7
    }
}

/// One of the three averages: over a minute, five, fifteen.
fn load(which: usize) -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').nth(which).and_then(|value| value.parse().ok()).unwrap_or_default()
}

impl Row {
    pub(super) fn new(figure: &str, number: &Number, pairs: BTreeMap<Pair, Spread>) -> Self {
        Self {
            figure: figure.to_owned(),
            what: number.what.clone(),
            unit: number.unit.to_owned(),
            better: number.better,
            target: number.target,
            headline: number.headline,
            pairs,
            ratios: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    /// The sizes of the plugins that are one file.
    pub(super) fn sizes(programs: &Programs) -> Option<Self> {
        let mut pairs = BTreeMap::new();
        for (pair, built) in &programs.pairs {
            if let [program] = built.plugin.as_slice() {
                pairs.insert(*pair, Spread::of(&[fs::metadata(program).ok()?.len() as f64 / 1e6]));
            }
        }
        let ours = pairs.get(&Pair::Rust)?.median;
        let others = pairs.iter().filter(|(pair, _)| **pair != Pair::Rust);
        let ratios = others.map(|(pair, theirs)| (*pair, Spread::of(&[ours / theirs.median]))).collect();
        let number = Number::read("size MB < program of the plugin");
        Some(Self { ratios, ..Self::new("size", &number, pairs) })
    }

    /// Whether the target is met, if there is one.
    pub(super) fn meets(&self) -> Option<bool> {
        let (target, (_, ratio)) = (self.target?, self.ratios.first_key_value()?);
        Some(match self.better {
            Better::Lower => ratio.median <= target,
            Better::Higher => ratio.median >= target,
        })
    }
}

impl Spread {
    /// Of at least one value, with four significant digits.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let rounded = |value: f64| format!("{value:.3e}").parse().unwrap_or(value);
        let last = sorted.len().saturating_sub(1);
        let median = (at(last / 2) + at(sorted.len() / 2)) / 2.0;
        Self { median: rounded(median), min: rounded(at(0)), max: rounded(at(last)) }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn a_spread_is_the_median_and_the_extremes() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0]).median, 2.5);
        assert_eq!(Spread::of(&[123_456.0]).median, 123_500.0);
    }
}
