//! The table of the README: every pair and every way of talking, and what peers cannot do.

use std::fmt::Write;

use super::matrix::{self, Ability, Cell, Language, Network, Security};

/// The file that has the table.
pub(super) const PAPER: &str = "README.md";

/// Between these lines of it.
const BEGIN: &str = "<!-- interop: written by `cargo xtask interop` -->";
const END: &str = "<!-- /interop -->";

const TICK: &str = "✓";

/// Whether the README has the table of the matrix as it is. `read` gives a file of the repository.
pub(crate) fn check(read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let found = read(PAPER).unwrap_or_default();
    if put(&found).as_ref() == Some(&found) {
        return Vec::new();
    }
    vec![format!("{PAPER}: not the table of the matrix; run `cargo xtask interop`")]
}

/// The text with the table in its place, if it has one.
pub(super) fn put(text: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n{END}{after}", markdown()))
}

/// A row for each pair and network, a column for each kind of security; in each cell the direct broker first and
/// the multiplexed one second, or once what keeps both from working. A cell whose checks would fail is no part of a table: the run fails instead.
pub(super) fn markdown() -> String {
    let mut reasons = Vec::new();
    let mut table = String::from("| host → plugin |");
    Security::ALL.iter().for_each(|security| table += &format!(" {} |", security.title()));
    table += "\n|---|";
    Security::ALL.iter().for_each(|_| table += ":-:|");
    table += "\n";
    for (host, plugin) in matrix::pairs() {
        for network in Network::ALL {
            table += &format!("| {} → {}, {} |", title(host), title(plugin), network.name());
            for security in Security::ALL {
                let cell = |mux| mark(Cell { host, plugin, security, network, mux }, &mut reasons);
                let marks = [false, true].map(cell);
                let once = marks[0] == marks[1] && marks[0] != TICK;
                table += &format!(" {} |", marks[usize::from(once)..].join(" "));
            }
            table += "\n";
        }
    }
    for (number, why) in (1..).zip(reasons) {
        // Writing to a string does not fail.
        let _ = write!(table, "\n{number}. n/a: {why}");
    }
    table + "\n"
}

/// A tick, or the number of the reason why not.
fn mark(cell: Cell, reasons: &mut Vec<&'static str>) -> String {
    let why = match cell.ability() {
        Ability::Works => return TICK.to_owned(),
        Ability::Refused { why, .. } | Ability::Absent { why } => why,
    };
    let known = reasons.iter().position(|reason| *reason == why);
    let index = known.unwrap_or_else(|| {
        reasons.push(why);
        reasons.len() - 1
    });
    format!("n/a<sup>{}</sup>", index + 1)
}

fn title(language: Language) -> &'static str {
    match language {
        Language::Rust => "Rust",
        Language::Go => "Go",
        Language::Python => "Python",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete() {
        let table = markdown();
        let rows: Vec<_> = table.lines().filter(|line| line.contains(" → ")).collect();
        assert_eq!(rows.len(), 1 + 5 * 2);
        assert!(rows.iter().all(|row| row.matches('|').count() == 8), "{table}");
        let works = |cell: &Cell| cell.ability() == Ability::Works;
        assert_eq!(table.matches(TICK).count(), matrix::cells().into_iter().filter(works).count());
        assert!(!table.contains("|  |"), "{table}");
        assert!(table.contains("\n1. n/a: "), "{table}");
    }

    #[test]
    fn it_goes_to_its_place_and_stays_there() {
        let once = put(&format!("a\n{BEGIN}\nold\n{END}\nb\n")).unwrap();
        assert_eq!(put(&once), Some(once.clone()));
        assert!(once.starts_with("a\n") && once.ends_with("\nb\n") && !once.contains("old"));
        assert_eq!(put("no place"), None);
        assert!(check(|_| Some(once.clone())).is_empty());
        assert_eq!(check(|_| None).len(), 1);
    }
}
