//! The results as text: lines on the terminal, and tables in the README and in `docs/performance.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::figures::Better;
use super::pairs::Pair;
use super::report::{RESULTS, Report, Row, Spread};
use crate::markdown;
use crate::workspace::Outcome;

/// A table stands between these lines of a page.
const BEGIN: &str = "<!-- measured: written by `cargo xtask bench --papers` -->";
const END: &str = "<!-- /measured -->";

/// The pages that have tables, with their content as the results give it. `read` returns a file of the repository.
pub(super) fn pages(
    report: &Report,
    read: impl Fn(&str) -> Option<String>,
) -> Outcome<[(&'static str, String); 2]> {
    let circumstances = circumstances(report);
    let headline = |row: &&Row| {
        row.headline && row.ratios.keys().any(|pair| !matches!(pair, Pair::Tonic | Pair::Itself))
    };
    let short = format!("{}\n{circumstances}\n", table(report.rows.iter().filter(headline), false));
    let versions: String =
        report.versions.iter().map(|(pair, version)| format!("- {pair}: {version}\n")).collect();
    let apart = ["tonic/", "lane/", "inherited/", "sandbox/"];
    let is_apart = |row: &&Row| apart.iter().any(|start| row.figure.starts_with(start));
    let mut long = format!("{circumstances}\n\n{versions}");
    long += &format!("\n{}", table(report.rows.iter().filter(|row| !is_apart(row)), true));
    for start in apart {
        let rows = || report.rows.iter().filter(|row| row.figure.starts_with(start));
        if rows().next().is_some() {
            long += &format!("\n{}", table(rows(), true));
        }
    }
    let page = |path: &'static str, content: &str| -> Outcome<_> {
        let page =
            markdown::between(&read(path).unwrap_or_default(), BEGIN, END, &format!("\n\n{content}\n"));
        Ok((path, page.ok_or_else(|| format!("{path} has no place for its table: {BEGIN}"))?))
    };
    Ok([page("README.md", &short)?, page("docs/performance.md", &long)?])
}

/// Whether the tables of the pages are those of the results.
pub(crate) fn check(read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let report = serde_json::from_str(&read(RESULTS).unwrap_or_default());
    let pages = report.map_err(|error| format!("{RESULTS}: {error}").into());
    match pages.and_then(|report| pages_of(&report, &read)) {
        Ok(stale) => stale,
        Err(error) => vec![error.to_string()],
    }
}

fn pages_of(report: &Report, read: &impl Fn(&str) -> Option<String>) -> Outcome<Vec<String>> {
    let stale = pages(report, read)?.into_iter().filter(|(path, wanted)| read(path).as_ref() != Some(wanted));
    Ok(stale
        .map(|(path, _)| format!("{path}: not what the results say; run `cargo xtask bench --papers`"))
        .collect())
}

/// One row in one line, for the terminal.
pub(super) fn line(row: &Row) -> String {
    let mut line = format!("{:<66}", row.what);
    for (pair, spread) in &row.pairs {
        _ = write!(line, " {pair} {:>9}", amount(spread, &row.unit));
    }
    for (pair, ratio) in &row.ratios {
        _ = write!(line, "  ratio to {pair} {}", with_extremes(ratio));
    }
    match (target(row), row.meets()) {
        (Some(target), Some(true)) => line + &format!("  met ({target})"),
        (Some(target), Some(false)) => line + &format!("  MISSED ({target})"),
        _ => line,
    }
}

/// A Markdown table of some rows, with a column for each pair that has any of their numbers.
fn table<'r>(rows: impl Iterator<Item = &'r Row>, details: bool) -> String {
    let rows: Vec<&Row> = rows.collect();
    let pairs: BTreeSet<Pair> = rows.iter().flat_map(|row| row.pairs.keys()).copied().collect();
    let others = || pairs.iter().filter(|pair| **pair != Pair::Rust);
    let mut table = String::from("|  |");
    pairs.iter().for_each(|pair| table += &format!(" {pair} |"));
    others().for_each(|pair| match details {
        true => table += &format!(" ratio to {pair} |"),
        false => table += &format!(" better than {pair} by |"),
    });
    table += if details { " asked for |\n|---|" } else { "\n|---|" };
    table += &"--:|".repeat(pairs.len() + others().count() + usize::from(details));
    table.push('\n');
    for row in rows {
        table += &format!("| {} |", row.what);
        for pair in &pairs {
            let cell = row.pairs.get(pair).map(|spread| amount(spread, &row.unit));
            table += &format!(" {} |", cell.unwrap_or_default());
        }
        for pair in others() {
            let cell = row.ratios.get(pair);
            let cell =
                cell.map(|ratio| if details { with_extremes(ratio) } else { factor(ratio, row.better) });
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

/// A sentence with the place and the time of the run.
fn circumstances(report: &Report) -> String {
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

/// The ratio that is wanted.
fn target(row: &Row) -> Option<String> {
    let sign = if row.better == Better::Lower { "≤" } else { "≥" };
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

/// How many times better, whether more or less of it is better: a factor above 1 is in favour of this library.
fn factor(ratio: &Spread, better: Better) -> String {
    format!("{} ×", number(if better == Better::Lower { 1.0 / ratio.median } else { ratio.median }))
}

fn with_extremes(spread: &Spread) -> String {
    format!("{} ({}–{})", number(spread.median), number(spread.min), number(spread.max))
}

/// Three digits, and blanks between thousands.
fn number(value: f64) -> String {
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
    use super::number;

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.1234, 9.999, 12.34, 123.4, 9999.0, 35_812.0].map(number);
        assert_eq!(shown, ["0.12", "10.0", "12.3", "123", "9999", "35 800"]);
    }
}
