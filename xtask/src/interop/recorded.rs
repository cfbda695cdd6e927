//! What came of each cell when it was recorded: a later run has to give the same, check by check.
//!
//! Without it a cell would pass however many checks its host skips. The table of the README is made from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use super::cell::{CellResult, Verdict};
use super::matrix::Cell;
use crate::workspace::{self, Outcome};

/// The file, relative to the workspace.
pub(super) const FILE: &str = "tests/interop/results.json";

/// The results of all cells that could run, by name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Recorded(BTreeMap<String, Entry>);

/// The result of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Passed {
        /// How many checks passed.
        passed: usize,
        /// The names of the checks that were skipped, in order.
        skipped: Vec<String>,
        /// The names of those that the peer is known to fail, in order.
        limited: Vec<String>,
    },
    /// The peer took no part.
    Refused,
}

impl Recorded {
    /// Reads what was recorded.
    pub(super) fn load() -> Outcome<Self> {
        let text = fs::read_to_string(workspace::root().join(FILE))?;
        Self::parse(&text)
            .ok_or_else(|| format!("{FILE} cannot be read; `cargo xtask interop --write` makes it").into())
    }

    /// Reads the text of the file.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let cells: BTreeMap<String, Value> = serde_json::from_str(text).ok()?;
        let entries = cells.into_iter().map(|(name, value)| Some((name, Entry::parse(&value)?)));
        Some(Self(entries.collect::<Option<_>>()?))
    }

    /// What was recorded of a cell.
    pub(super) fn of(&self, cell: &Cell) -> Option<&Entry> {
        self.0.get(&cell.to_string())
    }

    /// Turns the verdict of a cell that passes with other checks than were recorded into a failure.
    pub(super) fn judge(&self, mut result: CellResult) -> CellResult {
        let Some(now) = Entry::of(&result) else { return result };
        let why = match self.of(&result.cell) {
            Some(entry) => now.differs_from(entry),
            None => Some("no result is recorded".to_owned()),
        };
        if let Some(why) = why {
            let help = "if that is meant, `cargo xtask interop --write` records it";
            result.verdict = Verdict::Failed(format!("{why}; {help}"));
        }
        result
    }

    /// Puts what came of these cells in place of what was recorded of them.
    pub(super) fn record(&mut self, results: &[CellResult]) {
        for result in results {
            if let Some(entry) = Entry::of(result) {
                self.0.insert(result.cell.to_string(), entry);
            }
        }
    }

    /// Drops what the matrix does not have any more.
    pub(super) fn keep_only(&mut self, cells: &[Cell]) {
        let names: Vec<String> = cells.iter().map(ToString::to_string).collect();
        self.0.retain(|name, _| names.contains(name));
    }

    /// Writes the file, a line for each cell.
    pub(super) fn write(&self) -> Outcome {
        fs::write(workspace::root().join(FILE), self.text())?;
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::from("{\n");
        for (number, (name, entry)) in self.0.iter().enumerate() {
            let comma = if number + 1 < self.0.len() { "," } else { "" };
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {}: {}{comma}", json!(name), entry.json());
        }
        text + "}\n"
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
                passed: result.checks.passed.len(),
                skipped: sorted(&result.checks.skipped),
                limited: sorted(&result.checks.limited),
            }),
            Verdict::Refused(_) => Some(Self::Refused),
            Verdict::Failed(_) | Verdict::Skipped(_) => None,
        }
    }

    /// In what it differs from what was recorded, if it does.
    fn differs_from(&self, recorded: &Self) -> Option<String> {
        if self == recorded {
            return None;
        }
        let (
            Self::Passed { passed, skipped, limited },
            Self::Passed { passed: were_passed, skipped: were_skipped, limited: were_limited },
        ) = (self, recorded)
        else {
            return Some(
                "the peer takes part now and did not when it was recorded, or the reverse".to_owned(),
            );
        };
        let news = |now: &[String], then: &[String], what: &str| {
            let names: Vec<_> = now.iter().filter(|name| !then.contains(name)).map(String::as_str).collect();
            (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
        };
        let parts = [
            news(skipped, were_skipped, "skipped, and not when it was recorded"),
            news(were_skipped, skipped, "skipped when it was recorded, and not now"),
            news(limited, were_limited, "failed for a limit of the peer, and not when it was recorded"),
            news(were_limited, limited, "failed for a limit of the peer when it was recorded, and not now"),
            (passed != were_passed).then(|| format!("{passed} checks passed, {were_passed} are recorded")),
        ];
        Some(parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }

    fn json(&self) -> Value {
        match self {
            Self::Passed { passed, skipped, limited } => {
                json!({ "passed": passed, "skipped": skipped, "limited": limited })
            }
            Self::Refused => json!("refused"),
        }
    }

    fn parse(value: &Value) -> Option<Self> {
        if value == "refused" {
            return Some(Self::Refused);
        }
        let names = |key: &str| -> Option<Vec<String>> {
            value.get(key)?.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect()
        };
        let passed = usize::try_from(value.get("passed")?.as_u64()?).ok()?;
        Some(Self::Passed { passed, skipped: names("skipped")?, limited: names("limited")? })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::interop::cell::Checks;

    fn result(passed: &[&str], skipped: &[&str]) -> CellResult {
        let mut checks = Checks::default();
        checks.passed = passed.iter().map(|name| (*name).to_owned()).collect();
        checks.skipped = skipped.iter().map(|name| ((*name).to_owned(), "why".to_owned())).collect();
        CellResult {
            cell: Cell::FIRST,
            verdict: Verdict::Passed,
            checks,
            notes: Vec::new(),
            elapsed: Duration::ZERO,
            reproduce: String::new(),
            logs: None,
        }
    }

    fn verdict(recorded: &Recorded, result: CellResult) -> Result<(), String> {
        match recorded.judge(result).verdict {
            Verdict::Passed => Ok(()),
            Verdict::Failed(why) => Err(why),
            Verdict::Refused(why) | Verdict::Skipped(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_check_that_is_skipped_and_was_not_fails_its_cell() {
        let mut recorded = Recorded::default();
        let why = verdict(&recorded, result(&["a"], &[])).unwrap_err();
        assert!(why.starts_with("no result is recorded"), "{why}");
        recorded.record(&[result(&["a", "b"], &["c"])]);
        assert_eq!(verdict(&recorded, result(&["a", "b"], &["c"])), Ok(()));
        for (passed, skipped, said) in [
            (&["a"][..], &["c", "b"][..], "skipped, and not when it was recorded: b; 1 checks passed, 2 are"),
            (&["a"], &["c"], "1 checks passed, 2 are recorded"),
            (&["a", "b"], &["d"], "skipped, and not when it was recorded: d; skipped when"),
            (&["a", "b", "c"], &[], "skipped when it was recorded, and not now: c; 3 checks passed"),
        ] {
            let why = verdict(&recorded, result(passed, skipped)).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut recorded = Recorded::default();
        recorded.record(&[result(&["a", "b"], &["d", "c"])]);
        recorded.0.insert("another".to_owned(), Entry::Refused);
        let text = recorded.text();
        assert_eq!(Recorded::parse(&text), Some(recorded.clone()), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
        recorded.keep_only(&[Cell::FIRST]);
        assert_eq!(recorded.0.len(), 1);
        assert_eq!(Recorded::parse("{\"a\": 1}"), None);
    }
}
