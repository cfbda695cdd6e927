//! What was counted before, and with which tools.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::toolchain::first_line;
use crate::workspace::{self, Outcome};

/// Instructions by the name of the piece.
pub(super) type Counts = BTreeMap<String, u64>;

/// How much worse a piece may become, in percent. Two runs differ by less than one; what this leaves room
/// for is code that is laid out anew because something beside it has changed.
const TOLERANCE: f64 = 5.0;

/// The file `tests/instructions/baseline.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Baseline {
    pub(super) made_with: Maker,
    pub(super) instructions: Counts,
}

/// All that decides on a number besides our code.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Maker {
    rustc: String,
    target: String,
    libc: String,
    valgrind: String,
    /// Cargo's name for it.
    profile: String,
}

impl Maker {
    /// What is here, or what is missing.
    pub(super) fn here() -> Result<Self, String> {
        let ask = |program: &str, argument: &str| {
            first_line(Command::new(program).arg(argument)).map_err(|why| format!("no {program} ({why})"))
        };
        Ok(Self {
            valgrind: ask("valgrind", "--version")?,
            rustc: ask("rustc", "--version")?,
            target: ask("rustc", "--print=host-tuple")?,
            libc: ask("getconf", "GNU_LIBC_VERSION")?,
            profile: "instructions".to_owned(),
        })
    }

    /// Why numbers made with this say nothing beside those made with the other: other compilers make other code, and
    /// the C library allocates and copies.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let parts = [
            (&self.rustc, &other.rustc),
            (&self.target, &other.target),
            (&self.libc, &other.libc),
            (&self.valgrind, &other.valgrind),
            (&self.profile, &other.profile),
        ];
        let (here, there) = parts.into_iter().find(|(here, there)| here != there)?;
        Some(format!("here is {here}, the baseline was made with {there}"))
    }
}

impl Baseline {
    pub(super) fn load() -> Outcome<Self> {
        let text = fs::read_to_string(path()).map_err(|error| format!("{PATH} cannot be read: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{PATH} is damaged: {error}").into())
    }

    pub(super) fn save(&self) -> Outcome {
        for (name, count) in &self.instructions {
            println!("   {name:<40} {count:>8}");
        }
        fs::write(path(), serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }

    /// Prints both beside each other and gives back what is out of tolerance, or in one of them only.
    pub(super) fn compare(&self, now: &Counts) -> Vec<String> {
        let mut worse = Vec::new();
        for (name, count) in now {
            let Some(before) = self.instructions.get(name) else {
                println!("   {name:<40} {count:>8}   new");
                worse.push(format!("`{name}` is not in the baseline"));
                continue;
            };
            let change = (*count as f64 / *before as f64 - 1.0) * 100.0;
            println!("   {name:<40} {count:>8}   {change:+.1} %");
            if change > TOLERANCE {
                worse.push(format!(
                    "`{name}` takes {change:.1} % more instructions than the {before} of before"
                ));
            }
        }
        let gone = self.instructions.keys().filter(|name| !now.contains_key(*name));
        worse.extend(gone.map(|name| format!("`{name}` is in the baseline only")));
        worse
    }
}

fn path() -> PathBuf {
    workspace::root().join(PATH)
}

const PATH: &str = "tests/instructions/baseline.json";

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> Counts {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    fn maker(rustc: &str) -> Maker {
        let same = || "same".to_owned();
        Maker { rustc: rustc.to_owned(), target: same(), libc: same(), valgrind: same(), profile: same() }
    }

    #[test]
    fn what_takes_more_than_the_tolerance_is_told() {
        let before = counts(&[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000)]);
        let baseline = Baseline { made_with: maker("1"), instructions: before };
        let worse = baseline.compare(&counts(&[("a", 1051), ("b", 1049), ("c", 500), ("e", 1)]));
        assert_eq!(worse.len(), 3, "{worse:?}");
        assert!(worse[0].contains("`a` takes 5.1 % more"), "{worse:?}");
        assert!(worse[1].contains("`e`") && worse[2].contains("`d`"), "{worse:?}");
    }

    #[test]
    fn another_compiler_is_told() {
        assert_eq!(maker("1").difference(&maker("1")), None);
        let told = maker("2").difference(&maker("1"));
        assert_eq!(told.as_deref(), Some("here is 2, the baseline was made with 1"));
    }
}
