//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! Each rule is a file with one `check`, which returns a line for each fault. The same checks run as a test.

mod arrows;
mod checks;
mod examples;
mod excerpts;
mod faults;
mod imports;
mod lines;
mod links;
mod manifests;
mod rooms;
mod words;

use crate::texts::{self, Text};
use crate::workspace::{Outcome, Workspace};
use crate::{bench, interop};

/// Everything that the rules look at.
struct Subject {
    workspace: Workspace,
    texts: Vec<Text>,
}

/// A rule: its name, and how it is checked.
type Rule = (&'static str, fn(&Subject) -> Vec<String>);

const RULES: &[Rule] = &[
    ("arrows", arrows::check),
    ("rooms", rooms::check),
    ("manifests", manifests::check),
    ("examples", examples::check),
    ("excerpts", excerpts::check),
    ("links", links::check),
    ("checks", checks::check),
    ("faults", faults::check),
    // The tables of the README and of `docs/` are those of the recorded results.
    ("performance", |subject| bench::check(|path| subject.read(path))),
    ("interop", |subject| interop::check_table(|path| subject.read(path))),
    ("lines", lines::check),
    ("words", words::check),
];

/// Checks every rule and prints the faults.
pub(crate) fn run() -> Outcome {
    let subject = Subject::load()?;
    let mut broken = 0;
    for (name, check) in RULES {
        let found = check(&subject);
        if found.is_empty() {
            println!("ok    {name}");
        } else {
            broken += 1;
            println!("BAD   {name}");
        }
        for line in found {
            println!("      {line}");
        }
    }
    if broken == 0 { Ok(()) } else { Err(format!("{broken} of {} rules are broken", RULES.len()).into()) }
}

impl Subject {
    fn load() -> Outcome<Self> {
        Ok(Self { workspace: Workspace::load()?, texts: texts::load()? })
    }

    /// The text of a file.
    fn read(&self, path: &str) -> Option<String> {
        self.texts.iter().find(|text| text.path == path).map(|text| text.content.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_every_rule() {
        let subject = Subject::load().unwrap();
        let found: Vec<String> = RULES.iter().flat_map(|(_, check)| check(&subject)).collect();
        assert!(found.is_empty(), "run `cargo xtask tidy`:\n{}", found.join("\n"));
    }
}
