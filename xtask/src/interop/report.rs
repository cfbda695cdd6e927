//! The output of the matrix: a line for each cell while it runs, and a table at the end, which is also a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::cell::{CellResult, Verdict};
use super::peers::{Peers, Readiness};
use crate::workspace::Outcome;

/// How many lines of a failing host's standard error are shown. The log has all of them.
const SHOWN_LINES: usize = 40;

/// One line; more if the cell failed.
pub(super) fn print_cell(result: &CellResult) {
    let checks = &result.checks;
    let counts = match &result.verdict {
        Verdict::Skipped(why) | Verdict::Refused(why) => why.clone(),
        _ => {
            let impossible = checks.limited.len() + checks.skipped.len();
            let (passed, failed) = (checks.passed.len(), checks.failed.len());
            format!("{passed} passed, {failed} failed, {impossible} not possible")
        }
    };
    let seconds = result.elapsed.as_secs_f64();
    println!("{:<8}{:<38}{seconds:>6.1} s  {counts}", word(&result.verdict), result.cell);
    let Verdict::Failed(why) = &result.verdict else { return };
    println!("   {why}");
    for (name, why) in &checks.failed {
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

/// Prints the results of all cells with the reasons for gaps, and writes them to `report.md`.
pub(super) fn write(directory: &Path, results: &[CellResult], peers: &Peers) -> Outcome {
    let mut text = String::from("# Interoperability\n\n");
    for (language, readiness) in peers {
        let (Readiness::Ready { toolchain: what, .. } | Readiness::Missing(what) | Readiness::Broken(what)) =
            readiness;
        text += &format!("- {language}: {what}\n");
    }
    text += "\n| host   | plugin | mode                         | result  | passed | failed | limited | skipped |\n";
    text += "|--------|--------|------------------------------|---------|-------:|-------:|--------:|--------:|\n";
    for CellResult { cell, verdict, checks, .. } in results {
        text += &format!(
            "| {:<6} | {:<6} | {:<28} | {:<7} | {:>6} | {:>6} | {:>7} | {:>7} |\n",
            cell.host,
            cell.plugin,
            cell.mode(),
            word(verdict),
            checks.passed.len(),
            checks.failed.len(),
            checks.limited.len(),
            checks.skipped.len(),
        );
    }
    text += "\n";
    for (reason, pairs) in gaps(results) {
        text += &format!("- {reason} ({})\n", pairs.into_iter().collect::<Vec<_>>().join("; "));
    }
    let file = directory.join("report.md");
    fs::write(&file, &text)?;
    println!("\n{text}\nreport: {}", file.display());
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

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "PASS",
        Verdict::Failed(_) => "FAIL",
        Verdict::Refused(_) => "N/A",
        Verdict::Skipped(_) => "SKIPPED",
    }
}
