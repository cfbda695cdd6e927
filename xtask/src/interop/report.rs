//! The output of the matrix: a line for each cell, and at the end the reasons for gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use super::cell::{CellResult, Verdict};
use super::peers::{Peers, Readiness};
use crate::workspace::Outcome;

/// How many lines of a failing host's standard error are shown. The log has all of them.
const SHOWN_LINES: usize = 40;

/// One line; more if the cell failed.
pub(super) fn print_cell(result: &CellResult) {
    // The lines of one cell stand together.
    let _lock = io::stdout().lock();
    println!("{}", line(result));
    let Verdict::Failed(why) = &result.verdict else { return };
    println!("   {why}");
    for (name, why) in &result.checks.failed {
        println!("   FAIL {name}: {}", shortened(why));
    }
    let Some(run) = &result.run else { return };
    println!("   command: {}", run.line);
    println!("   stdout:  {}", run.stdout.display());
    println!("   stderr:  {}", run.stderr.display());
    let text = String::from_utf8_lossy(&fs::read(&run.stderr).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        println!("   │ {}", shortened(line));
    }
}

fn line(CellResult { cell, verdict, checks, elapsed, .. }: &CellResult) -> String {
    let (word, why) = match verdict {
        Verdict::Passed => ("PASS", None),
        Verdict::Failed(_) => ("FAIL", None),
        Verdict::Refused(why) => ("N/A", Some(why)),
        Verdict::Skipped(why) => ("SKIPPED", Some(why)),
    };
    let counts = format!(
        "{} passed, {} failed, {} limited, {} skipped",
        checks.passed.len(),
        checks.failed.len(),
        checks.limited.len(),
        checks.skipped.len()
    );
    format!("{word:<8}{cell:<38}{:>6.1} s  {}", elapsed.as_secs_f64(), why.unwrap_or(&counts))
}

/// Prints the reasons for gaps, and writes `report.md` with the results of all cells.
pub(super) fn write(directory: &Path, results: &[CellResult], peers: &Peers) -> Outcome {
    let mut text = String::from("# Interoperability\n\n");
    for (language, readiness) in peers {
        let (Readiness::Ready { toolchain: what, .. } | Readiness::Missing(what) | Readiness::Broken(what)) =
            readiness;
        text += &format!("- {language}: {what}\n");
    }
    let lines: String = results.iter().map(|result| line(result) + "\n").collect();
    text += &format!("\n```text\n{lines}```\n\n");
    println!();
    for (reason, pairs) in gaps(results) {
        let gap = format!("- {reason} ({})", pairs.into_iter().collect::<Vec<_>>().join("; "));
        println!("{gap}");
        text += &format!("{gap}\n");
    }
    let file = directory.join("report.md");
    fs::write(&file, &text)?;
    println!("\nreport: {}", file.display());
    Ok(())
}

/// Why something failed, could not pass or was not checked: each reason once, with the pairs that it concerns.
fn gaps(results: &[CellResult]) -> BTreeMap<String, BTreeSet<String>> {
    let mut pairs_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for CellResult { cell, verdict, checks, tolerated, .. } in results {
        let mut reasons = Vec::new();
        match verdict {
            Verdict::Passed => {}
            Verdict::Failed(why) => reasons.push(format!("FAIL {}: {why}", cell.mode())),
            Verdict::Skipped(why) => reasons.push(format!("SKIP everything: {why}")),
            Verdict::Refused(why) => reasons.push(format!("N/A {why}")),
        }
        // All checks of a cell that the peer refuses have the same reason.
        if !matches!(verdict, Verdict::Refused(_)) {
            reasons.extend(checks.limited.iter().map(|(name, why)| format!("LIMIT {name}: {why}")));
            reasons.extend(checks.skipped.iter().map(|(name, why)| format!("SKIP {name}: {why}")));
            if !tolerated.is_empty() {
                reasons.push("LIMIT files: a pyvider-rpcplugin plugin leaves files behind".to_owned());
            }
        }
        for reason in reasons {
            pairs_of.entry(shortened(&reason)).or_default().insert(cell.pair());
        }
    }
    pairs_of
}

/// The text, cut after 300 characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
