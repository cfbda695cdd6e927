//! The recorded result of each cell. A later run has to give the same, check by check.
//!
//! Without it a cell would pass however many checks its host skips. The table of the README is made from it.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use super::cell::{CellResult, Verdict};
use super::matrix::Cell;
use crate::workspace::{self, Outcome};

/// The file, relative to the workspace.
pub(super) const FILE: &str = "tests/interop/results.json";

/// The results of all cells that could run, by name.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Recorded(BTreeMap<String, Entry>);

/// The result of one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Entry {
    Passed {
        /// Names of checks that the peer is known to fail, in order.
        limited: Vec<String>,
        /// The number of checks that passed.
        passed: usize,
        /// Names of checks that were skipped, in order.
        skipped: Vec<String>,
    },
    /// `refused`: the peer refused.
    Other(String),
}

pub(super) const REFUSED: &str = "refused";

impl Recorded {
    /// Reads the file.
    pub(super) fn load() -> Outcome<Self> {
        Self::parse(&fs::read_to_string(workspace::root().join(FILE))?)
    }

    pub(super) fn parse(text: &str) -> Outcome<Self> {
        serde_json::from_str(text)
            .map_err(|error| format!("{FILE}: {error}; `cargo xtask interop --write` makes it").into())
    }

    pub(super) fn of(&self, cell: &Cell) -> Option<&Entry> {
        self.0.get(&cell.to_string())
    }

    /// Makes the verdict of a cell a failure if other checks passed or were skipped than are recorded.
    pub(super) fn judge(&self, mut result: CellResult) -> CellResult {
        let Some(now) = Entry::of(&result) else { return result };
        let why = match self.of(&result.cell) {
            Some(recorded) if now == *recorded => return result,
            Some(recorded) => now.difference(recorded),
            None => "no result is recorded".to_owned(),
        };
        let help = "if that is meant, `cargo xtask interop --write` records it";
        result.verdict = Verdict::Failed(format!("{why}; {help}"));
        result
    }

    /// Replaces the recorded results of these cells, and drops the results of cells that the matrix does not have.
    pub(super) fn record(&mut self, results: &[CellResult], matrix: &[Cell]) {
        let new = results.iter().filter_map(|result| Some((result.cell.to_string(), Entry::of(result)?)));
        self.0.extend(new);
        let names: Vec<String> = matrix.iter().map(ToString::to_string).collect();
        self.0.retain(|name, _| names.contains(name));
    }

    pub(super) fn write(&self) -> Outcome {
        Ok(fs::write(workspace::root().join(FILE), self.text()?)?)
    }

    /// A line for each cell.
    fn text(&self) -> Outcome<String> {
        let mut lines = Vec::new();
        for (name, entry) in &self.0 {
            lines.push(format!("  \"{name}\": {}", serde_json::to_string(entry)?));
        }
        Ok(format!("{{\n{}\n}}\n", lines.join(",\n")))
    }
}

impl Entry {
    fn of(result: &CellResult) -> Option<Self> {
        let sorted = |list: &[(String, String)]| {
            let mut names: Vec<String> = list.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            names
        };
        match result.verdict {
            Verdict::Passed => Some(Self::Passed {
                limited: sorted(&result.checks.limited),
                passed: result.checks.passed.len(),
                skipped: sorted(&result.checks.skipped),
            }),
            Verdict::Refused(_) => Some(Self::Other(REFUSED.to_owned())),
            Verdict::Failed(_) | Verdict::Skipped(_) => None,
        }
    }

    /// How this result differs from the recorded one.
    fn difference(&self, recorded: &Self) -> String {
        let (
            Self::Passed { passed, skipped, limited },
            Self::Passed { passed: were_passed, skipped: were_skipped, limited: were_limited },
        ) = (self, recorded)
        else {
            return "the peer takes part now and refused when it was recorded, or the reverse".to_owned();
        };
        let mut parts = Vec::new();
        for (now, then, what) in [
            (skipped, were_skipped, "skipped, and not when it was recorded"),
            (were_skipped, skipped, "skipped when it was recorded, and not now"),
            (limited, were_limited, "failed for a limit of the peer, and not when it was recorded"),
            (were_limited, limited, "failed for a limit of the peer when it was recorded, and not now"),
        ] {
            let names: Vec<_> = now.iter().filter(|name| !then.contains(name)).map(String::as_str).collect();
            if !names.is_empty() {
                parts.push(format!("{what}: {}", names.join(", ")));
            }
        }
        if passed != were_passed {
            parts.push(format!("{passed} checks passed, {were_passed} are recorded"));
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interop::cell::Checks;

    fn result(passed: &[&str], skipped: &[&str]) -> CellResult {
        let mut checks = Checks::default();
        checks.passed = passed.iter().map(|name| (*name).to_owned()).collect();
        checks.skipped = skipped.iter().map(|name| ((*name).to_owned(), "why".to_owned())).collect();
        CellResult { checks, ..CellResult::passed(Cell::FIRST) }
    }

    #[track_caller]
    fn check(recorded: &Recorded, passed: &[&str], skipped: &[&str], expected: Option<&str>) {
        match (recorded.judge(result(passed, skipped)).verdict, expected) {
            (Verdict::Passed, None) => {}
            (Verdict::Failed(why), Some(expected)) => assert!(why.contains(expected), "{why}"),
            (verdict, _) => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn a_check_that_is_skipped_and_was_not_fails_its_cell() {
        let mut recorded = Recorded::default();
        check(&recorded, &["a"], &[], Some("no result is recorded"));
        recorded.record(&[result(&["a", "b"], &["c"])], &[Cell::FIRST]);
        check(&recorded, &["a", "b"], &["c"], None);
        let new = "skipped, and not when it was recorded: b; 1 checks passed, 2 are recorded";
        check(&recorded, &["a"], &["c", "b"], Some(new));
        check(&recorded, &["a"], &["c"], Some("1 checks passed, 2 are recorded"));
        let both = "skipped, and not when it was recorded: d; skipped when";
        check(&recorded, &["a", "b"], &["d"], Some(both));
        let gone = "skipped when it was recorded, and not now: c; 3 checks passed";
        check(&recorded, &["a", "b", "c"], &[], Some(gone));
    }

    #[test]
    fn the_file_is_read_as_it_is_written() {
        let mut recorded = Recorded::default();
        recorded.record(&[result(&["a", "b"], &["d", "c"])], &[Cell::FIRST]);
        recorded.0.insert("another".to_owned(), Entry::Other(REFUSED.to_owned()));
        let text = recorded.text().unwrap();
        assert_eq!(Recorded::parse(&text).unwrap(), recorded, "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
        recorded.record(&[], &[Cell::FIRST]);
        assert_eq!(recorded.0.len(), 1);
        assert!(Recorded::parse("{\"a\": 1}").is_err());
    }
}
