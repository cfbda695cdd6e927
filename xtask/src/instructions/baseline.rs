//! The recorded counts, and the tools that they were made with.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::toolchain::first_line;
use crate::workspace::{self, Outcome};

/// Instructions by the name of the piece.
pub(super) type Counts = BTreeMap<String, u64>;

/// How many more instructions a piece may take, in percent. Two runs differ by less than one percent. A change elsewhere can
/// move code, which takes a little more.
const TOLERANCE: f64 = 5.0;

/// The file `tests/instructions/baseline.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Baseline {
    pub(super) made_with: Maker,
    pub(super) instructions: Counts,
}

/// Everything that a count depends on besides the code of this repository.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Maker {
    rustc: String,
    target: String,
    libc: String,
    valgrind: String,
    profile: String,
}

impl Maker {
    /// The tools of this machine, or the one that is missing.
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

    /// How the tools differ, if they do. Another compiler makes other code, and the C library allocates and copies.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let parts = |maker: &Self| {
            [&maker.rustc, &maker.target, &maker.libc, &maker.valgrind, &maker.profile].map(String::clone)
        };
        let (here, there) = parts(self).into_iter().zip(parts(other)).find(|(here, there)| here != there)?;
        Some(format!("here is {here}, the baseline was made with {there}"))
    }
}

impl Baseline {
    pub(super) fn load() -> Outcome<Self> {
        let text = fs::read_to_string(workspace::root().join(PATH))
            .map_err(|error| format!("{PATH} cannot be read: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{PATH} is damaged: {error}").into())
    }

    pub(super) fn save(&self) -> Outcome {
        for (name, count) in &self.instructions {
            println!("   {name:<40} {count:>8}");
        }
        fs::write(workspace::root().join(PATH), serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }

    /// Prints both counts side by side, and returns the pieces that are out of tolerance or have one count only.
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
    fn a_piece_beyond_the_tolerance_is_reported() {
        let before = counts(&[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000)]);
        let baseline = Baseline { made_with: maker("1"), instructions: before };
        let worse = baseline.compare(&counts(&[("a", 1051), ("b", 1049), ("c", 500), ("e", 1)]));
        assert_eq!(worse.len(), 3, "{worse:?}");
        assert!(worse[0].contains("`a` takes 5.1 % more"), "{worse:?}");
        assert!(worse[1].contains("`e`") && worse[2].contains("`d`"), "{worse:?}");
    }

    #[test]
    fn another_compiler_is_reported() {
        assert_eq!(maker("1").difference(&maker("1")), None);
        let difference = maker("2").difference(&maker("1"));
        assert_eq!(difference.as_deref(), Some("here is 2, the baseline was made with 1"));
    }
}
