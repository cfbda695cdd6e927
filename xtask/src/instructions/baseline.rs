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
    pub(super) made_with: Tools,
    pub(super) instructions: Counts,
}

/// Everything that a count depends on besides the code of this repository, with its version.
pub(super) type Tools = BTreeMap<String, String>;

/// The tools of this machine, or the one that is missing.
pub(super) fn tools() -> Result<Tools, String> {
    let mut tools = Tools::from([("profile".to_owned(), "instructions".to_owned())]);
    for (name, program, argument) in [
        ("valgrind", "valgrind", "--version"),
        ("rustc", "rustc", "--version"),
        ("target", "rustc", "--print=host-tuple"),
        ("libc", "getconf", "GNU_LIBC_VERSION"),
    ] {
        let version = first_line(Command::new(program).arg(argument));
        tools.insert(name.to_owned(), version.map_err(|why| format!("no {program} ({why})"))?);
    }
    Ok(tools)
}

/// How the tools differ from those of the baseline. Another compiler makes other code, and the C library allocates and
/// copies.
pub(super) fn difference(here: &Tools, baseline: &Tools) -> Option<String> {
    let (name, version) = here.iter().find(|(name, version)| baseline.get(*name) != Some(version))?;
    let before = baseline.get(name).map_or("none", String::as_str);
    Some(format!("{name} is {version}, and was {before} for the baseline"))
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

    #[test]
    fn a_piece_beyond_the_tolerance_is_reported() {
        let before = counts(&[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000)]);
        let baseline = Baseline { made_with: Tools::new(), instructions: before };
        let worse = baseline.compare(&counts(&[("a", 1051), ("b", 1049), ("c", 500), ("e", 1)]));
        assert_eq!(worse.len(), 3, "{worse:?}");
        assert!(worse[0].contains("`a` takes 5.1 % more"), "{worse:?}");
        assert!(worse[1].contains("`e`") && worse[2].contains("`d`"), "{worse:?}");
    }

    #[test]
    fn another_compiler_is_reported() {
        let tools = |rustc: &str| Tools::from([("rustc".to_owned(), rustc.to_owned())]);
        assert_eq!(difference(&tools("1"), &tools("1")), None);
        let found = difference(&tools("2"), &tools("1"));
        assert_eq!(found.as_deref(), Some("rustc is 2, and was 1 for the baseline"));
    }
}
