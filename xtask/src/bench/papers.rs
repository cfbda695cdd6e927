//! What is made from the results: the chart, and the tables in the README and in `docs/performance.md`.

use std::fs;

use super::chart;
use super::pairs::Pair;
use super::results::{Report, Row};
use super::table;
use crate::workspace::{self, Outcome};

const README: &str = "README.md";
const PAGE: &str = "docs/performance.md";
const CHART: &str = "docs/performance/chart.svg";

/// Between these lines of a paper stands a table.
const BEGIN: &str = "<!-- measured: written by `cargo xtask bench --papers` -->";
const END: &str = "<!-- /measured -->";

/// Writes the chart and the tables.
pub(super) fn write(report: &Report) -> Outcome {
    for (path, content) in papers(report) {
        let file = workspace::root().join(path);
        let content = match content {
            Content::Whole(content) => content,
            Content::Between(table) => {
                let text = fs::read_to_string(&file)?;
                put(&text, &table).ok_or_else(|| format!("{path} has no place for its table: {BEGIN}"))?
            }
        };
        fs::write(&file, content)?;
        println!("wrote {path}");
    }
    Ok(())
}

/// Whether the papers say what the results say. `read` gives a file of the repository.
pub(crate) fn check(read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    // Where nothing has been measured, nothing can be told wrong.
    let Some(results) = read("docs/performance/results.json") else { return Vec::new() };
    let report = match Report::parse(&results) {
        Ok(report) => report,
        Err(error) => return vec![format!("docs/performance/results.json: {error}")],
    };
    let differs = |(path, content): (&'static str, Content)| {
        let found = read(path).unwrap_or_default();
        let wanted = match content {
            Content::Whole(content) => Some(content),
            Content::Between(table) => put(&found, &table),
        };
        (wanted.as_ref() != Some(&found))
            .then(|| format!("{path}: not what the results say; run `cargo xtask bench --papers`"))
    };
    papers(&report).into_iter().filter_map(differs).collect()
}

enum Content {
    Whole(String),
    /// What stands between the two lines.
    Between(String),
}

fn papers(report: &Report) -> [(&'static str, Content); 3] {
    let shown = |row: &&Row| row.headline && row.ratios.keys().any(|pair| *pair != Pair::Tonic);
    let circumstances = table::circumstances(report);
    let headline = table::markdown(report.rows.iter().filter(shown), false);
    let readme = format!("{headline}\n{circumstances}\n");
    let mut page = format!("{circumstances}\n\n");
    for (pair, version) in &report.versions {
        page += &format!("- {pair}: {version}\n");
    }
    let (tonic, peers): (Vec<_>, Vec<_>) =
        report.rows.iter().partition(|row| row.figure.starts_with("tonic/"));
    page += &format!("\n{}", table::markdown(peers.into_iter(), true));
    if !tonic.is_empty() {
        page += &format!("\n{}", table::markdown(tonic.into_iter(), true));
    }
    [
        (README, Content::Between(readme)),
        (PAGE, Content::Between(page)),
        (CHART, Content::Whole(chart::svg(report))),
    ]
}

/// The text with this between the two lines, if it has them.
fn put(text: &str, between: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{between}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_goes_between_its_lines_and_stays_there() {
        let once = put(&format!("a\n{BEGIN}\nold\n{END}\nb\n"), "new\n").unwrap();
        assert_eq!(once, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(put(&once, "new\n"), Some(once));
        assert_eq!(put("no place", "new\n"), None);
    }
}
