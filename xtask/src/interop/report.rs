//! What the matrix shows: a line per cell while it runs, a table at the end, and both as files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::cell::{CellResult, Verdict};
use super::matrix::Language;
use super::peers::Readiness;
use crate::workspace::Outcome;

/// How much of a failing host's standard error is shown; the whole is in the log.
const SHOWN_LINES: usize = 40;

/// One line; more if the cell failed.
pub(super) fn print_cell(result: &CellResult) {
    let word = word(&result.verdict);
    println!(
        "{word:<8}{:<38}{:>6.1} s  {}",
        result.cell.to_string(),
        result.elapsed.as_secs_f64(),
        counts(result)
    );
    let Verdict::Failed(why) = &result.verdict else { return };
    println!("   {why}");
    for (name, why) in &result.checks.failed {
        println!("   FAIL {name}: {why}");
    }
    let Some((stdout, stderr)) = &result.logs else { return };
    println!("   by hand: {}", result.reproduce);
    for log in [stdout, stderr] {
        println!("   {}:", log.display());
        let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            println!("   │ {line}");
        }
    }
}

/// Host, plugin and mode against passed and skipped checks, and below it every reason for a gap.
pub(super) fn print_table(results: &[CellResult]) {
    println!();
    print!("{}", table(results));
    println!();
    for gap in gaps(results) {
        println!("{gap}");
    }
}

/// Writes `report.json` and `report.md`.
pub(super) fn write(
    directory: &Path,
    results: &[CellResult],
    peers: &BTreeMap<Language, Readiness>,
) -> Outcome {
    let cells: Vec<Value> = results.iter().map(cell_json).collect();
    let toolchains: BTreeMap<String, String> = peers
        .iter()
        .map(|(language, readiness)| (language.to_string(), describe(readiness).to_owned()))
        .collect();
    let report = json!({ "toolchains": toolchains, "cells": cells });
    fs::write(directory.join("report.json"), format!("{report:#}\n"))?;

    let mut text = String::from("# Interoperability\n\n");
    for (language, what) in toolchains {
        writeln!(text, "- {language}: {what}")?;
    }
    write!(text, "\n{}\n", table(results))?;
    for gap in gaps(results) {
        writeln!(text, "- {gap}")?;
    }
    fs::write(directory.join("report.md"), text)?;
    println!("\nreport: {}", directory.join("report.md").display());
    Ok(())
}

/// A table that reads well as text and as Markdown.
fn table(results: &[CellResult]) -> String {
    let mut table = String::from(
        "| host   | plugin | mode                         | result  | passed | failed | skipped |\n",
    );
    table.push_str(
        "|--------|--------|------------------------------|---------|-------:|-------:|--------:|\n",
    );
    for result in results {
        let checks = &result.checks;
        table.push_str(&format!(
            "| {:<6} | {:<6} | {:<28} | {:<7} | {:>6} | {:>6} | {:>7} |\n",
            result.cell.host,
            result.cell.plugin,
            result.cell.mode(),
            word(&result.verdict),
            checks.passed.len(),
            checks.failed.len(),
            checks.skipped.len(),
        ));
    }
    table
}

/// Why something was not checked or is tolerated, each reason once with the cells it concerns.
fn gaps(results: &[CellResult]) -> Vec<String> {
    let mut cells_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for result in results {
        let pair = format!("{} host, {} plugin", result.cell.host, result.cell.plugin);
        let mut reasons = Vec::new();
        match &result.verdict {
            Verdict::Passed => {}
            Verdict::Failed(why) => reasons.push(format!("FAIL {}: {why}", result.cell.mode())),
            Verdict::Skipped(why) => reasons.push(format!("SKIP everything: {why}")),
        }
        reasons.extend(result.checks.failed.iter().map(|(name, why)| format!("FAIL {name}: {why}")));
        reasons.extend(result.checks.skipped.iter().map(|(name, why)| format!("SKIP {name}: {why}")));
        if !result.notes.is_empty() {
            reasons.push("NOTE the plugin leaves files behind".to_owned());
        }
        for reason in reasons {
            cells_of.entry(reason).or_default().insert(pair.clone());
        }
    }
    cells_of
        .into_iter()
        .map(|(reason, cells)| format!("{reason} ({})", cells.into_iter().collect::<Vec<_>>().join("; ")))
        .collect()
}

fn cell_json(result: &CellResult) -> Value {
    let reason = match &result.verdict {
        Verdict::Passed => None,
        Verdict::Failed(why) | Verdict::Skipped(why) => Some(why),
    };
    let pairs = |list: &[(String, String)]| -> Vec<Value> {
        list.iter().map(|(name, why)| json!({ "name": name, "reason": why })).collect()
    };
    json!({
        "cell": result.cell.to_string(),
        "host": result.cell.host.to_string(),
        "plugin": result.cell.plugin.to_string(),
        "mode": result.cell.mode(),
        "result": word(&result.verdict),
        "reason": reason,
        "passed": result.checks.passed,
        "failed": pairs(&result.checks.failed),
        "skipped": pairs(&result.checks.skipped),
        "left_by_peer": result.notes,
        "seconds": result.elapsed.as_secs_f64(),
    })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "PASS",
        Verdict::Failed(_) => "FAIL",
        Verdict::Skipped(_) => "SKIPPED",
    }
}

fn counts(result: &CellResult) -> String {
    match &result.verdict {
        Verdict::Skipped(why) => why.clone(),
        Verdict::Passed | Verdict::Failed(_) => {
            let checks = &result.checks;
            format!(
                "{} passed, {} failed, {} skipped",
                checks.passed.len(),
                checks.failed.len(),
                checks.skipped.len()
            )
        }
    }
}

fn describe(readiness: &Readiness) -> &str {
    match readiness {
        Readiness::Ready { toolchain, .. } => toolchain,
        Readiness::Missing(why) | Readiness::Broken(why) => why,
    }
}
