//! The table of the README: the recorded result of every pair and mode, and the limits of the peers.

use super::matrix::{self, Ability, Cell, NETWORKS, SECURITIES};
use super::recorded::{Entry, FILE, REFUSED, Recorded};
use crate::markdown;

/// The page that has the table.
pub(super) const PAGE: &str = "README.md";

/// The table stands between these lines.
const BEGIN: &str = "<!-- interop: written by `cargo xtask interop` -->";
const END: &str = "<!-- /interop -->";

const WORKS: &str = "●";
const SEPARATE_ONLY: &str = "◐";
const ABSENT: &str = "–";

/// The line above the table.
const LEGEND: &str = "● works, with separate and with multiplexed brokered connections · ◐ works with separate ones only · – cannot \
                      work; the numbers are the reasons";

/// The mark of a cell that no run has passed.
const NO_RESULT: &str = "?";

/// Whether the README has the table of the recorded results, and each cell that can run has a result. `read` returns a file
/// of the repository.
pub(crate) fn check(read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let recorded = match Recorded::parse(&read(FILE).unwrap_or_default()) {
        Ok(recorded) => recorded,
        Err(why) => return vec![why.to_string()],
    };
    let without = matrix::cells().into_iter().filter(|cell| status(*cell, &recorded).is_none());
    let mut faults: Vec<_> = without
        .map(|cell| format!("{FILE}: no result of {cell}; run `cargo xtask interop --write`"))
        .collect();
    let found = read(PAGE).unwrap_or_default();
    if put(&found, &recorded).as_ref() != Some(&found) {
        faults.push(format!("{PAGE}: not the table of the results; run `cargo xtask interop`"));
    }
    faults
}

/// The text with the table in its place, if it has one.
pub(super) fn put(text: &str, recorded: &Recorded) -> Option<String> {
    markdown::between(text, BEGIN, END, &format!("\n\n{}\n", table(recorded)))
}

/// A legend, then a row for each pair and network, and a column for each kind of security. A full circle is a pair that works
/// with separate and with multiplexed brokered connections, and a half circle one that works with separate ones only.
pub(super) fn table(recorded: &Recorded) -> String {
    let mut reasons = Vec::new();
    let titles: String = SECURITIES.iter().map(|security| format!(" {} |", security.title)).collect();
    let mut table =
        format!("{LEGEND}\n\n| host → plugin |{titles}\n|---|{}\n", ":-:|".repeat(SECURITIES.len()));
    for (host, plugin) in matrix::pairs() {
        for network in NETWORKS {
            table += &format!("| {host:?} → {plugin:?}, {network} |");
            for security in SECURITIES {
                let cell = |mux| status(Cell { host, plugin, security, network, mux }, recorded);
                table += &format!(" {} |", mark([false, true].map(cell), &mut reasons));
            }
            table += "\n";
        }
    }
    for (number, why) in (1..).zip(reasons) {
        table += &format!("\n{number}. {why}");
    }
    table + "\n"
}

/// Whether a run has passed the cell, or why host and plugin cannot. `None` if no run has shown either.
fn status(cell: Cell, recorded: &Recorded) -> Option<Result<(), &'static str>> {
    match (cell.ability(), recorded.of(&cell)) {
        (Ability::Absent { why }, _) => Some(Err(why)),
        (Ability::Refused { why, .. }, Some(Entry::Other(word))) if word == REFUSED => Some(Err(why)),
        (Ability::Works, Some(Entry::Passed { passed, .. })) if *passed > 0 => Some(Ok(())),
        _ => None,
    }
}

/// The mark of a pair with separate and with multiplexed brokered connections, and the number of the reason for what is missing.
fn mark(both: [Option<Result<(), &'static str>>; 2], reasons: &mut Vec<&'static str>) -> String {
    let (mark, why) = match both {
        [Some(Ok(())), Some(Ok(()))] => return WORKS.to_owned(),
        [Some(Ok(())), Some(Err(why))] => (SEPARATE_ONLY, why),
        [Some(Err(why)), Some(Err(_))] => (ABSENT, why),
        _ => return NO_RESULT.to_owned(),
    };
    if !reasons.contains(&why) {
        reasons.push(why);
    }
    let number = reasons.iter().take_while(|reason| **reason != why).count() + 1;
    format!("{mark}<sup>{number}</sup>")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results as every cell should have them.
    fn recorded() -> String {
        let line = |cell: &Cell| match cell.ability() {
            Ability::Works => {
                Some(format!("\"{cell}\": {{\"passed\": 1, \"skipped\": [], \"limited\": []}}"))
            }
            Ability::Refused { .. } => Some(format!("\"{cell}\": \"refused\"")),
            Ability::Absent { .. } => None,
        };
        let lines: Vec<_> = matrix::cells().iter().filter_map(line).collect();
        format!("{{{}}}", lines.join(","))
    }

    #[test]
    fn the_table_is_complete() {
        let table = table(&Recorded::parse(&recorded()).unwrap());
        let rows: Vec<_> = table.lines().filter(|line| line.contains(" → ")).collect();
        assert_eq!(rows.len(), 1 + 5 * 2);
        assert!(rows.iter().all(|row| row.matches('|').count() == 8), "{table}");
        let rows = rows.join("\n");
        let count = |mark: &str| rows.matches(mark).count();
        let works = |cell: &Cell| cell.ability() == Ability::Works;
        let working = matrix::cells().into_iter().filter(works).count();
        assert_eq!(2 * count(WORKS) + count(SEPARATE_ONLY), working, "{rows}");
        assert!(!table.contains("|  |") && !table.contains(NO_RESULT), "{table}");
        assert!(table.contains("\n1. "), "{table}");
    }

    #[test]
    fn a_tick_needs_a_result() {
        let nothing = table(&Recorded::default());
        assert!(!nothing.contains("| ● |") && nothing.contains(NO_RESULT), "{nothing}");
        let none_passed = recorded().replacen("\"passed\": 1", "\"passed\": 0", 1);
        assert_eq!(table(&Recorded::parse(&none_passed).unwrap()).matches(NO_RESULT).count(), 1);
    }

    #[test]
    fn the_table_is_put_in_its_place_and_stays_there() {
        let results = Recorded::parse(&recorded()).unwrap();
        let once = put(&format!("a\n{BEGIN}\nold\n{END}\nb\n"), &results).unwrap();
        assert_eq!(put(&once, &results), Some(once.clone()));
        assert!(once.starts_with("a\n") && once.ends_with("\nb\n") && !once.contains("old"));
        assert_eq!(put("no place", &results), None);
        let read = |path: &str| if path == PAGE { Some(once.clone()) } else { Some(recorded()) };
        assert_eq!(check(read), Vec::<String>::new());
        assert_eq!(check(|path| (path != PAGE).then(recorded)).len(), 1, "no README");
        assert_eq!(check(|path| (path == PAGE).then(|| once.clone())).len(), 1, "no results");
        let gap = recorded().replacen("\"passed\": 1", "\"passed\": 0", 1);
        let with_gap = |path: &str| if path == PAGE { Some(once.clone()) } else { Some(gap.clone()) };
        assert_eq!(check(with_gap).len(), 2, "a cell without a result, and a table that says otherwise");
    }
}
