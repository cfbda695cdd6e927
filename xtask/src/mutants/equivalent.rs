//! The mutants that are known to change nothing a user could see, each with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::workspace::{self, Outcome};

/// The file with a mutant per line: `PATH: NAME | REASON`. Lines with a `#` at the front are comments.
pub(super) const LIST: &str = "tests/mutants/equivalent.txt";

/// The reasons by mutant.
#[derive(Debug, Default)]
pub(super) struct Equivalents(BTreeMap<String, String>);

impl Equivalents {
    pub(super) fn read() -> Outcome<Self> {
        Ok(Self::parse(&fs::read_to_string(workspace::root().join(LIST))?)?)
    }

    pub(super) fn parse(list: &str) -> Result<Self, String> {
        let lines = (1..).zip(list.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let entry = |(number, line): (usize, &str)| match line.split_once(" | ") {
            Some((mutant, reason)) if !reason.trim().is_empty() => {
                Ok((mutant.trim().to_owned(), reason.trim().to_owned()))
            }
            _ => Err(format!("{LIST}:{number} has no reason: PATH: NAME | REASON")),
        };
        lines.map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the mutant is listed.
    pub(super) fn has(&self, mutant: &str) -> bool {
        self.0.contains_key(mutant)
    }

    /// The listed mutants of these files that are not among those that survive: a test notices them, or the code has changed.
    pub(super) fn stale(&self, files: &BTreeSet<String>, survivors: &BTreeSet<String>) -> Vec<String> {
        let is_stale = |mutant: &&String| files.contains(file(mutant)) && !survivors.contains(*mutant);
        self.0.keys().filter(is_stale).cloned().collect()
    }
}

/// A mutant as the list has it: cargo-mutants prints `PATH:LINE:COLUMN: NAME`, and lines move.
pub(super) fn without_place(printed: &str) -> String {
    let Some((place, name)) = printed.split_once(": ") else { return printed.to_owned() };
    format!("{}: {name}", file(place))
}

/// The file of a mutant.
pub(super) fn file(mutant: &str) -> &str {
    mutant.split(':').next().unwrap_or(mutant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_mutant_needs_a_reason() {
        let list = "# a comment\n\ncrates/a/src/b.rs: replace < with <= in f | both read the whole line\n";
        let known = Equivalents::parse(list).expect("a list");
        assert!(known.has("crates/a/src/b.rs: replace < with <= in f"));
        assert!(!known.has("crates/a/src/b.rs: replace < with == in f"));
        for bad in ["crates/a/src/b.rs: replace < with <= in f", "a: b | "] {
            assert!(Equivalents::parse(bad).is_err_and(|why| why.contains(":1 has no reason")), "{bad}");
        }
    }

    #[test]
    fn a_listed_mutant_that_no_longer_survives_is_told() {
        let known = Equivalents::parse("a.rs: x | r\na.rs: y | r\nother.rs: z | r\n").expect("a list");
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(known.stale(&set(&["a.rs"]), &set(&["a.rs: x"])), ["a.rs: y"]);
        assert!(known.stale(&set(&["b.rs"]), &set(&[])).is_empty());
    }

    #[test]
    fn a_mutant_is_found_after_its_line_has_moved() {
        let printed = "crates/a/src/b.rs:190:9: replace A::b -> Option<&str> with None";
        assert_eq!(without_place(printed), "crates/a/src/b.rs: replace A::b -> Option<&str> with None");
        assert_eq!(without_place("a.rs:1:2: delete ! in a: b"), "a.rs: delete ! in a: b");
    }
}
