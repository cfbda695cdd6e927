//! The table of the fuzz targets in docs.

use std::collections::BTreeMap;

use super::Target;
use crate::markdown;

/// The figures of a target. Without a figure, that of the page stays.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    /// Executions, which are added to those of the page.
    pub(super) executions: u64,
    /// Executions per second, in this run.
    pub(super) per_second: Option<u64>,
    /// The lines that were reached, and all lines.
    pub(super) lines: Option<(u64, u64)>,
}

/// The page with these figures, by the name of the target. A target that no longer exists leaves the table.
pub(super) fn written(page: &str, targets: &[Target], counted: &BTreeMap<String, Counted>) -> Option<String> {
    let (_, rest) = page.split_once(BEGIN)?;
    let (table, _) = rest.split_once(END)?;
    let mut together = 0;
    let mut rows: Vec<String> = HEAD.iter().map(|line| (*line).to_owned()).collect();
    for target in targets {
        let begin = format!("| `{}` |", target.name);
        let old = table.lines().find(|line| line.starts_with(&begin)).unwrap_or_default();
        let cell = |at: usize| old.split(" | ").nth(at).unwrap_or_default().trim_end_matches(" |").to_owned();
        let new = counted.get(&target.name).cloned().unwrap_or_default();
        let executions = number(&cell(2)) + new.executions;
        let per_second = new.per_second.map_or_else(|| cell(3), grouped);
        let lines = new.lines.map_or_else(
            || cell(4),
            |(reached, all)| {
                format!("{} % of {}", (reached * 100).checked_div(all).unwrap_or(0), grouped(all))
            },
        );
        together += executions;
        rows.push(format!("{begin} {} | {} | {per_second} | {lines} |", target.reads, grouped(executions)));
    }
    rows.push(format!("| together | | {} | | |", grouped(together)));
    markdown::between(page, BEGIN, END, &format!("{}\n\n", rows.join("\n")))
}

fn number(text: &str) -> u64 {
    text.replace(',', "").parse().unwrap_or(0)
}

/// The number with a comma between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

const BEGIN: &str = "<!-- fuzz: written by `cargo xtask fuzz --write` -->\n";
const END: &str = "<!-- /fuzz -->";

const HEAD: [&str; 2] =
    ["| target | reads | executions | per second | lines reached |", "|---|---|---:|---:|---:|"];

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Target {
        Target { name: name.to_owned(), reads: format!("the bytes of {name}"), code: Vec::new() }
    }

    #[test]
    fn executions_are_added_to_those_of_the_page() {
        let page = format!(
            "a\n{BEGIN}{}\n{}\n| `gone` | x | 7 | 1 | 2 % of 3 |\n| `log` | old | 1,999 | 1 | 73 % of 626 |\n\n{END}\nb\n",
            HEAD[0], HEAD[1]
        );
        let lane = Counted { executions: 1_000_000, per_second: Some(12_345), lines: Some((1999, 2000)) };
        let log = Counted { executions: 1, per_second: Some(70), lines: None };
        let counted = BTreeMap::from([("lane".to_owned(), lane), ("log".to_owned(), log)]);
        let expected = format!(
            "a\n{BEGIN}{}\n{}\n| `lane` | the bytes of lane | 1,000,000 | 12,345 | 99 % of 2,000 |\n\
             | `log` | the bytes of log | 2,000 | 70 | 73 % of 626 |\n| together | | 1,002,000 | | |\n\n{END}\nb\n",
            HEAD[0], HEAD[1]
        );
        let targets = [target("lane"), target("log")];
        assert_eq!(written(&page, &targets, &counted), Some(expected.clone()));
        assert_eq!(written(&expected, &targets, &BTreeMap::new()), Some(expected));
        assert_eq!(written("no marks", &targets, &counted), None);
    }
}
