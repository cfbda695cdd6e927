//! What became of the mutants of a part, and the table of docs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::equivalent::{Equivalents, file, without_place};
use super::parts::PARTS;
use crate::markdown;
use crate::workspace::Outcome;

/// The mutants of one run, as cargo-mutants lists them.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// A test failed.
    caught: Vec<String>,
    /// The tests did not end, as with a loop without an end.
    timeout: Vec<String>,
    /// All tests passed.
    missed: Vec<String>,
}

impl Made {
    /// Reads the directory in which cargo-mutants puts its lists. Mutants that cannot be compiled are no mutants.
    pub(super) fn read(directory: &Path) -> Outcome<Self> {
        let list = |name: &str| -> Outcome<Vec<String>> {
            let list = fs::read_to_string(directory.join(name))?;
            Ok(list.lines().map(str::to_owned).collect())
        };
        Ok(Self { caught: list("caught.txt")?, timeout: list("timeout.txt")?, missed: list("missed.txt")? })
    }

    /// The listed equivalents in the files of this part that did not survive.
    pub(super) fn stale(&self, equivalents: &Equivalents) -> Vec<String> {
        let all = [&self.caught, &self.timeout, &self.missed].into_iter().flatten();
        let files = all.map(|mutant| file(mutant).to_owned()).collect();
        equivalents.stale(&files, &self.missed.iter().map(|mutant| without_place(mutant)).collect())
    }
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Score {
    part: String,
    row: String,
}

impl Score {
    /// The score of a part, and the mutants that survive without being known as equivalent.
    pub(super) fn of(part: &str, made: &Made, equivalents: &Equivalents) -> (Self, Vec<String>) {
        let survives = |mutant: &&String| !equivalents.has(&without_place(mutant));
        let missed: Vec<_> = made.missed.iter().filter(survives).cloned().collect();
        let equivalent = made.missed.len() - missed.len();
        let (caught, timeout) = (made.caught.len(), made.timeout.len());
        let noticed = caught + timeout;
        let counted = noticed + missed.len();
        let all = counted + equivalent;
        // Not rounded up: 100 % means all of them.
        let share = (noticed * 1000).checked_div(counted).unwrap_or(1000);
        let row = format!(
            "| {part} | {all} | {caught} | {timeout} | {equivalent} | {} | {}.{} % |",
            missed.len(),
            share / 10,
            share % 10
        );
        (Self { part: part.to_owned(), row }, missed)
    }

    /// The row of the table.
    pub(super) fn row(&self) -> &str {
        &self.row
    }
}

/// The page with these scores. The rows of other parts stay as they are.
pub(super) fn written(page: &str, scores: &[Score]) -> Option<String> {
    let (_, rest) = page.split_once(BEGIN)?;
    let (table, _) = rest.split_once(END)?;
    let mut rows = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        rows.insert(row.split('|').nth(1).unwrap_or_default().trim().to_owned(), row.to_owned());
    }
    rows.extend(scores.iter().map(|score| (score.part.clone(), score.row.clone())));
    let rows = PARTS.iter().filter_map(|part| rows.get(part.name));
    let table: String =
        HEAD.iter().map(|line| (*line).to_owned()).chain(rows.cloned()).map(|row| row + "\n").collect();
    markdown::between(page, BEGIN, END, &format!("{table}\n"))
}

const BEGIN: &str = "<!-- mutants: written by `cargo xtask mutants --write` -->\n";
const END: &str = "<!-- /mutants -->";

const HEAD: [&str; 2] = [
    "| part | mutants | a test fails | tests do not end | equivalent | survive | noticed |",
    "|---|--:|--:|--:|--:|--:|--:|",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn made(caught: usize, timeout: usize, missed: &[&str]) -> Made {
        let any = |count| (0..count).map(|n| format!("a.rs:{n}:1: x")).collect();
        Made {
            caught: any(caught),
            timeout: any(timeout),
            missed: missed.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn equivalent_mutants_do_not_count() {
        let (score, missed) =
            Score::of("core", &made(198, 1, &["a.rs:1:1: replace f with ()"]), &Equivalents::default());
        assert_eq!(score.row(), "| core | 200 | 198 | 1 | 0 | 1 | 99.5 % |");
        assert_eq!(missed, ["a.rs:1:1: replace f with ()"]);

        let known = Equivalents::parse("a.rs: replace f with () | f does nothing yet\n").expect("a list");
        let (score, missed) = Score::of("core", &made(198, 1, &["a.rs:1:1: replace f with ()"]), &known);
        assert_eq!(score.row(), "| core | 200 | 198 | 1 | 1 | 0 | 100.0 % |");
        assert!(missed.is_empty());
        assert_eq!(made(1, 0, &[]).stale(&known), ["a.rs: replace f with ()"]);
        let (almost, _) = Score::of("core", &made(9999, 0, &["b.rs:1:1: c"]), &known);
        assert!(almost.row().ends_with("| 1 | 99.9 % |"), "{}", almost.row());
    }

    #[test]
    fn a_row_replaces_that_of_its_part() {
        let page = format!("a\n{BEGIN}| core | old |\n| yamux | kept |\n{END}\nb\n");
        let score = |part: &str| Score { part: part.to_owned(), row: format!("| {part} | new |") };
        let rows = format!("{}\n{}\n| core | new |\n| hclog | new |\n| yamux | kept |\n", HEAD[0], HEAD[1]);
        assert_eq!(
            written(&page, &[score("hclog"), score("core")]),
            Some(format!("a\n{BEGIN}{rows}\n{END}\nb\n"))
        );
        assert_eq!(written("no marks", &[]), None);
    }
}
