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
        println!("   FAIL {name}: {}", shortened(why, 300));
    }
    let Some((stdout, stderr)) = &result.logs else { return };
    println!("   by hand: {}", result.reproduce);
    println!("   stdout:  {}", stdout.display());
    println!("   stderr:  {}", stderr.display());
    let text = String::from_utf8_lossy(&fs::read(stderr).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        println!("   │ {}", shortened(line, 300));
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
        "| host   | plugin | mode                         | result  | passed | failed | limited | skipped |\n",
    );
    table.push_str(
        "|--------|--------|------------------------------|---------|-------:|-------:|--------:|--------:|\n",
    );
    for result in results {
        let checks = &result.checks;
        table.push_str(&format!(
            "| {:<6} | {:<6} | {:<28} | {:<7} | {:>6} | {:>6} | {:>7} | {:>7} |\n",
            result.cell.host,
            result.cell.plugin,
            result.cell.mode(),
            word(&result.verdict),
            checks.passed.len(),
            checks.failed.len(),
            checks.limited.len(),
            checks.skipped.len(),
        ));
    }
    table
}

/// Why something failed, could not pass or was not checked: each reason once, with the pairs it concerns.
fn gaps(results: &[CellResult]) -> Vec<String> {
    let mut pairs_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for result in results {
        let checks = &result.checks;
        let mut reasons = Vec::new();
        if let Verdict::Refused(why) = &result.verdict {
            // Its checks all tell the same.
            let pair = format!("{} host, {} plugin", result.cell.host, result.cell.plugin);
            pairs_of.entry(format!("N/A {why}")).or_default().insert(pair);
            continue;
        }
        match &result.verdict {
            Verdict::Passed | Verdict::Refused(_) => {}
            Verdict::Failed(why) => reasons.push(format!("FAIL {}: {why}", result.cell.mode())),
            Verdict::Skipped(why) => reasons.push(format!("SKIP everything: {why}")),
        }
        reasons.extend(checks.limited.iter().map(|(name, why)| format!("LIMIT {name}: {why}")));
        reasons.extend(checks.skipped.iter().map(|(name, why)| format!("SKIP {name}: {why}")));
        if !result.notes.is_empty() {
            reasons.push("LIMIT files: a pyvider-rpcplugin plugin leaves files behind".to_owned());
        }
        for reason in reasons {
            let pair = format!("{} host, {} plugin", result.cell.host, result.cell.plugin);
            pairs_of.entry(shortened(&reason, 300)).or_default().insert(pair);
        }
    }
    let line = |(reason, pairs): (String, BTreeSet<String>)| {
        format!("{reason} ({})", pairs.into_iter().collect::<Vec<_>>().join("; "))
    };
    pairs_of.into_iter().map(line).collect()
}

/// The text, cut where it becomes tiresome.
fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn cell_json(result: &CellResult) -> Value {
    let reason = match &result.verdict {
        Verdict::Passed => None,
        Verdict::Failed(why) | Verdict::Refused(why) | Verdict::Skipped(why) => Some(why),
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
        "limited": pairs(&result.checks.limited),
        "skipped": pairs(&result.checks.skipped),
        "left_by_peer": result.notes,
        "seconds": result.elapsed.as_secs_f64(),
    })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "PASS",
        Verdict::Failed(_) => "FAIL",
        Verdict::Refused(_) => "N/A",
        Verdict::Skipped(_) => "SKIPPED",
    }
}

fn counts(result: &CellResult) -> String {
    if let Verdict::Skipped(why) | Verdict::Refused(why) = &result.verdict {
        return why.clone();
    }
    let checks = &result.checks;
    let impossible = checks.limited.len() + checks.skipped.len();
    format!("{} passed, {} failed, {impossible} not possible", checks.passed.len(), checks.failed.len())
}

fn describe(readiness: &Readiness) -> &str {
    match readiness {
        Readiness::Ready { toolchain, .. } => toolchain,
        Readiness::Missing(why) | Readiness::Broken(why) => why,
    }
}
