//! The results as text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::pairs::Pair;
use super::plan::Better;
use super::results::{Report, Row, Spread};

/// One row in one line, for the terminal.
pub(super) fn line(row: &Row) -> String {
    let mut line = format!("{:<66}", row.what);
    for (pair, spread) in &row.pairs {
        let _ = write!(line, " {pair} {:>9}", amount(spread, &row.unit));
    }
    for (pair, ratio) in &row.ratios {
        let _ = write!(line, "  ratio to {pair} {}", with_ends(ratio));
    }
    match (target(row), row.meets()) {
        (Some(target), Some(true)) => line + &format!("  met ({target})"),
        (Some(target), Some(false)) => line + &format!("  MISSED ({target})"),
        _ => line,
    }
}

/// Everything, for the terminal.
pub(super) fn text(report: &Report) -> String {
    report.rows.iter().map(|row| line(row) + "\n").collect()
}

/// A Markdown table of some rows, with a column for each pair that has any of their numbers.
pub(super) fn markdown<'r>(rows: impl Iterator<Item = &'r Row>, details: bool) -> String {
    let rows: Vec<&Row> = rows.collect();
    let pairs: BTreeSet<Pair> = rows.iter().flat_map(|row| row.pairs.keys()).copied().collect();
    let others: Vec<Pair> = pairs.iter().copied().filter(|pair| *pair != Pair::Rust).collect();
    let mut table = String::from("|  |");
    pairs.iter().for_each(|pair| table += &format!(" {pair} |"));
    others.iter().for_each(|pair| table += &format!(" ratio to {pair} |"));
    table += if details { " asked for |\n|---|" } else { "\n|---|" };
    let columns = pairs.len() + others.len() + usize::from(details);
    table += &"--:|".repeat(columns);
    table.push('\n');
    for row in rows {
        table += &format!("| {} |", row.what);
        for pair in &pairs {
            let cell = row.pairs.get(pair).map(|spread| amount(spread, &row.unit)).unwrap_or_default();
            table += &format!(" {cell} |");
        }
        for pair in &others {
            let cell = row.ratios.get(pair);
            let cell = cell.map(|ratio| if details { with_ends(ratio) } else { number(ratio.median) });
            table += &format!(" {} |", cell.unwrap_or_default());
        }
        if details {
            let missed = if row.meets() == Some(false) { ", missed" } else { "" };
            table += &format!(" {}{missed} |", target(row).unwrap_or_default());
        }
        table.push('\n');
    }
    table
}

/// Where and when, in a sentence.
pub(super) fn circumstances(report: &Report) -> String {
    let machine = &report.machine;
    let busy = if machine.is_busy() {
        ", beside other work, so that the ratios say more than the numbers"
    } else {
        ""
    };
    format!(
        "Measured on {} with {} cores of an {}, {:.0} GiB, Linux {}, load {:.1} before the run{busy}. Medians; each pair \
         is host and plugin on the same library, in turn within one run.",
        report.date,
        machine.cores,
        machine.processor.replace("(R)", ""),
        machine.memory_gib,
        machine.kernel,
        machine.load
    )
}

/// What the ratio shall be.
fn target(row: &Row) -> Option<String> {
    let sign = match row.better {
        Better::Lower => "≤",
        Better::Higher => "≥",
    };
    row.target.map(|target| format!("{sign} {target}"))
}

fn amount(spread: &Spread, unit: &str) -> String {
    match unit {
        "KiB" if spread.median >= 1024.0 => format!("{} MiB", number(spread.median / 1024.0)),
        "" => number(spread.median),
        "/s" => format!("{}/s", number(spread.median)),
        _ => format!("{} {unit}", number(spread.median)),
    }
}

fn with_ends(spread: &Spread) -> String {
    format!("{} ({}–{})", number(spread.median), number(spread.min), number(spread.max))
}

/// Three digits, and blanks between thousands.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        big if big >= 9_999.5 => {
            let digits = format!("{:.0}", (value / 100.0).round() * 100.0);
            let (thousands, rest) = digits.split_at(digits.len() - 3);
            format!("{thousands} {rest}")
        }
        big if big >= 99.95 => format!("{value:.0}"),
        middle if middle >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (value, shown) in [
            (0.1234, "0.12"),
            (9.999, "10.0"),
            (12.34, "12.3"),
            (123.4, "123"),
            (9999.0, "9999"),
            (35_812.0, "35 800"),
        ] {
            assert_eq!(number(value), shown);
        }
    }
}
