//! `cargo xtask interop`: hosts and plugins of this library against those of the other implementations.
//!
//! Builds the conformance programs of each language, then runs every host's own list of checks against every plugin, for
//! each pair and each mode, and looks each time for leftovers. A language whose toolchain is missing is skipped with the
//! reason, unless it is required. A cell passes if the same checks pass and are skipped as in its recorded result. The
//! README's table is made from the recorded results.

mod cell;
mod matrix;
mod peers;
mod recorded;
mod report;
mod table;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use self::cell::{CellResult, Setup, Verdict};
use self::matrix::{Ability, Cell, Language};
use self::peers::{Certificates, Peers, Readiness};
use self::recorded::Recorded;
pub(crate) use self::table::check as check_table;
use crate::toolchain::Tool;
use crate::workspace::{self, Outcome, Workspace};

/// Options of `cargo xtask interop`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Fail without these toolchains, instead of skipping their peers
    #[arg(long, value_delimiter = ',')]
    pub(crate) require: Vec<Tool>,
    /// Run only the cells whose name contains this, for example `go/rust` or `tcp`
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Fail if the README has another table, and do not write it
    #[arg(long)]
    pub(crate) check: bool,
    /// Record the results, and write the README's table
    #[arg(long, conflicts_with = "check")]
    pub(crate) write: bool,
    /// List the cells and run none
    #[arg(long)]
    pub(crate) list: bool,
    /// Build the peers in other languages and run no cell
    #[arg(long)]
    pub(crate) build: bool,
}

/// How many cells run at once. Hosts wait most of their time, for plugins that are stopped, silent or slow.
const LANES: usize = 2;

/// Builds the peers, runs the cells, and writes the report and the table.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut cells = matrix::cells();
    cells.retain(|cell| options.filter.as_ref().is_none_or(|text| cell.to_string().contains(text)));
    if cells.is_empty() {
        return Err("no cell has such a name; `--list` shows them".into());
    }
    if options.list {
        list(&cells);
        return Ok(());
    }
    let missing: Vec<_> = options.require.iter().filter_map(|tool| tool.version().err()).collect();
    if !missing.is_empty() {
        return Err(format!("required, but {}", missing.join(", ")).into());
    }

    let directory = Workspace::load()?.target.join("interop");
    fs::create_dir_all(&directory)?;
    if options.build {
        return build(&options.require, &directory);
    }
    cells.retain(|cell| !matches!(cell.ability(), Ability::Absent { .. }));
    let mut peers = Peers::new();
    for language in Language::ALL {
        let makes_certificates = |cell: &Cell| language == Language::Go && cell.security.is_given;
        if cells.iter().any(|cell| [cell.host, cell.plugin].contains(&language) || makes_certificates(cell)) {
            peers.insert(language, peers::prepare(language, &directory));
        }
    }
    refuse_missing(&options.require, &peers)?;
    let mut certificates = Certificates::new();
    for keys in cells.iter().map(|cell| cell.security).filter(|security| security.is_given) {
        let make = || peers::certificates(keys.name, &peers, &directory);
        certificates.entry(keys.name).or_insert_with(make);
    }

    let mut recorded = if options.write { Recorded::load().unwrap_or_default() } else { Recorded::load()? };
    let compared = (!options.write).then_some(&recorded);
    let setup = Setup { peers: &peers, certificates: &certificates, directory: &directory };
    let results = run_all(&cells, &setup, compared)?;
    report::write(&directory, &results, &peers)?;
    if options.write {
        recorded.record(&results, &matrix::cells());
        recorded.write()?;
        println!("wrote {}", recorded::FILE);
    }
    let count = |wanted: fn(&Verdict) -> bool| results.iter().filter(|one| wanted(&one.verdict)).count();
    match count(|verdict| matches!(verdict, Verdict::Failed(_))) {
        0 if count(|verdict| matches!(verdict, Verdict::Passed)) == 0 => Err("no cell could run".into()),
        0 => settle_table(&recorded, options.check),
        failed => Err(format!("{failed} of {} cells failed", results.len()).into()),
    }
}

fn list(cells: &[Cell]) {
    for cell in cells {
        match cell.ability() {
            Ability::Works => println!("{cell}"),
            Ability::Refused { why, .. } | Ability::Absent { why } => println!("{cell:<32} n/a: {why}"),
        }
    }
}

/// Runs the cells in some lanes, prints each when it is done, and returns the results in the order of the cells.
fn run_all(cells: &[Cell], setup: &Setup<'_>, recorded: Option<&Recorded>) -> Outcome<Vec<CellResult>> {
    let waiting = Mutex::new(cells.iter().enumerate());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let lane = || {
        let mut done = Vec::new();
        while let Some((index, cell)) = next() {
            let mut result = cell::run(cell, setup).map_err(|error| error.to_string())?;
            if let Some(recorded) = recorded {
                result = recorded.judge(result);
            }
            report::print_cell(&result);
            done.push((index, result));
        }
        Ok::<_, String>(done)
    };
    let mut done = BTreeMap::new();
    thread::scope(|scope| {
        let lanes = [(); LANES].map(|()| scope.spawn(lane));
        for lane in lanes {
            done.extend(lane.join().map_err(|_| "a lane panicked")??);
        }
        Ok::<_, String>(())
    })?;
    Ok(done.into_values().collect())
}

/// Prints the table of the recorded results, and writes it to the README or fails because the README has another.
fn settle_table(recorded: &Recorded, check: bool) -> Outcome {
    println!("\n{}", table::table(recorded));
    let text = fs::read_to_string(workspace::root().join(table::PAGE))?;
    let wanted = table::put(&text, recorded).ok_or("the README has no place for the table")?;
    if workspace::settle(table::PAGE, wanted.as_bytes(), check)? {
        return Ok(());
    }
    Err("the README's table is not that of the results; run `cargo xtask interop`".into())
}

/// Builds the peers in other languages. A missing toolchain is a fault only if it is required.
fn build(required: &[Tool], directory: &Path) -> Outcome {
    let mut peers = Peers::new();
    for language in [Language::Go, Language::Python] {
        let readiness = peers::prepare(language, directory);
        match &readiness {
            Readiness::Ready { toolchain, .. } => println!("{language} is built with {toolchain}"),
            Readiness::Missing(why) => println!("{language} is SKIPPED: {why}"),
            Readiness::Broken(why) => return Err(format!("the {language} programs: {why}").into()),
        }
        peers.insert(language, readiness);
    }
    refuse_missing(required, &peers)
}

/// The commands of Python's host and plugin, for measurements, and the version of their toolchain.
pub(crate) fn python_programs(directory: &Path) -> Outcome<(Vec<OsString>, Vec<OsString>, String)> {
    match peers::prepare(Language::Python, directory) {
        Readiness::Ready { programs, toolchain } => Ok((programs.host, programs.plugin, toolchain)),
        Readiness::Missing(why) | Readiness::Broken(why) => Err(why.into()),
    }
}

/// Fails if the programs of a required toolchain cannot be had, for example without a network.
fn refuse_missing(required: &[Tool], peers: &Peers) -> Outcome {
    for (language, readiness) in peers {
        if let Readiness::Missing(why) = readiness
            && required.iter().any(|tool| tool.to_string() == language.to_string())
        {
            return Err(format!("{language} is required, but {why}").into());
        }
    }
    Ok(())
}
