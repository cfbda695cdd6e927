//! `cargo xtask interop`: our hosts and plugins against those of the other implementations.
//!
//! Builds the conformance programs of each language, then runs every host's own list of checks against every
//! plugin, for each pair and each way of talking, and looks each time for what was left behind. A language whose
//! toolchain is missing is skipped with the reason, unless it is required. A cell passes if the same checks pass and are
//! skipped as when its result was recorded; the README's table is made from what is recorded.

mod cell;
mod certificates;
mod limits;
mod matrix;
mod peers;
mod recorded;
mod report;
mod table;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use self::cell::{CellResult, Setting, Verdict};
use self::matrix::{Ability, Cell, Language};
use self::peers::Readiness;
use self::recorded::Recorded;
pub(crate) use self::table::check as check_table;
use crate::toolchain::{self, Tool};
use crate::workspace::{self, Outcome, Workspace};

/// Options of `cargo xtask interop`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Toolchains that must be there; the peers of missing ones are otherwise skipped
    #[arg(long, value_delimiter = ',')]
    require: Vec<Tool>,
    /// Run only the cells whose name contains this, for example `go/rust` or `tcp`
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Fail if the README's table is another, and do not write it
    #[arg(long)]
    check: bool,
    /// Record what comes of the cells, in place of what is recorded, and write the README's table
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// List the cells and run none
    #[arg(long)]
    list: bool,
    /// Build the peers in other languages and run no cell
    #[arg(long)]
    build: bool,
}

impl Options {
    /// What `cargo xtask ci` asks for in the end.
    pub(crate) fn checking(require: Vec<Tool>) -> Self {
        Self { require, check: true, ..Self::default() }
    }

    /// What `cargo xtask ci` asks for before the tests.
    pub(crate) fn building(require: Vec<Tool>) -> Self {
        Self { require, build: true, ..Self::default() }
    }
}

/// So many cells run at once. Hosts wait for most of their time: for plugins that are frozen, silent or slow.
const LANES: usize = 2;

/// Builds the peers, runs the cells, prints the table and writes the report.
pub(crate) fn run(options: &Options) -> Outcome {
    let wanted = |cell: &Cell| options.filter.as_ref().is_none_or(|text| cell.to_string().contains(text));
    let cells: Vec<_> = matrix::cells().into_iter().filter(wanted).collect();
    if cells.is_empty() {
        return Err("no cell has such a name; `--list` shows them".into());
    }
    if options.list {
        list(&cells);
        return Ok(());
    }
    let missing = toolchain::missing(&options.require);
    if !missing.is_empty() {
        return Err(format!("required, but {}", missing.join(", ")).into());
    }

    let directory = Workspace::load()?.target.join("interop");
    if options.build {
        return build(&options.require, &directory);
    }
    let cells: Vec<_> =
        cells.into_iter().filter(|cell| !matches!(cell.ability(), Ability::Absent { .. })).collect();
    let mut peers = BTreeMap::new();
    for language in Language::ALL {
        let makes_certificates = |cell: &Cell| language == Language::Go && cell.security.given().is_some();
        if cells.iter().any(|cell| [cell.host, cell.plugin].contains(&language) || makes_certificates(cell)) {
            peers.insert(language, peers::prepare(language, &directory)?);
        }
    }
    refuse_missing(&options.require, &peers)?;
    let kinds = cells.iter().filter_map(|cell| cell.security.given());
    let certificates = certificates::make(kinds, &peers, &directory);

    let mut recorded = if options.write { Recorded::load().unwrap_or_default() } else { Recorded::load()? };
    let compared = (!options.write).then_some(&recorded);
    let setting = Setting { peers: &peers, certificates: &certificates, directory: &directory };
    let results = run_all(&cells, &setting, compared)?;
    report::print_table(&results);
    report::write(&directory, &results, &peers)?;
    if options.write {
        recorded.record(&results);
        recorded.keep_only(&matrix::cells());
        recorded.write()?;
        println!("wrote {}", recorded::FILE);
    }
    judge(&results)?;
    settle_table(&recorded, options.check)
}

fn list(cells: &[Cell]) {
    for cell in cells {
        match cell.ability() {
            Ability::Works => println!("{cell}"),
            Ability::Refused { why, .. } | Ability::Absent { why } => println!("{cell:<32} n/a: {why}"),
        }
    }
}

/// Runs the cells in some lanes, prints each as it is done, and returns what became of them in their order.
fn run_all(cells: &[Cell], setting: &Setting<'_>, recorded: Option<&Recorded>) -> Outcome<Vec<CellResult>> {
    let waiting = Mutex::new(cells.iter().enumerate());
    let mut done = thread::scope(|scope| {
        let (report, reports) = mpsc::channel();
        for _ in 0..LANES {
            let (report, waiting) = (report.clone(), &waiting);
            scope.spawn(move || {
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some((index, cell)) = next() {
                    let result = cell::run(cell, setting).map_err(|error| error.to_string());
                    let result = match recorded {
                        Some(recorded) => result.map(|result| recorded.judge(result)),
                        None => result,
                    };
                    if report.send((index, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(report);
        let mut done = Vec::new();
        for (index, result) in reports {
            let result = result?;
            report::print_cell(&result);
            done.push((index, result));
        }
        Ok::<_, String>(done)
    })?;
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// Prints the table of what is recorded, and writes it to the README or says that another is there.
fn settle_table(recorded: &Recorded, check: bool) -> Outcome {
    println!("\n{}", table::markdown(recorded));
    let paper = workspace::root().join(table::PAPER);
    let text = fs::read_to_string(&paper)?;
    let wanted = table::put(&text, recorded).ok_or("the README has no place for the table of the matrix")?;
    if wanted == text {
        return Ok(());
    }
    if check {
        return Err("the README's table is not that of the results; run `cargo xtask interop`".into());
    }
    fs::write(&paper, wanted)?;
    println!("wrote {}", table::PAPER);
    Ok(())
}

/// Builds the peers in other languages. What is missing is no fault unless it is required.
fn build(required: &[Tool], directory: &Path) -> Outcome {
    let mut peers = BTreeMap::new();
    for language in [Language::Go, Language::Python] {
        let readiness = peers::prepare(language, directory)?;
        match &readiness {
            Readiness::Ready { toolchain, .. } => {
                println!("the {language} programs are built with {toolchain}")
            }
            Readiness::Missing(why) => println!("the {language} programs are SKIPPED: {why}"),
            Readiness::Broken(why) => return Err(format!("the {language} programs: {why}").into()),
        }
        peers.insert(language, readiness);
    }
    refuse_missing(required, &peers)
}

/// How to start Python's host and plugin, for measurements, and what their toolchain calls itself.
pub(crate) fn python_programs(directory: &Path) -> Outcome<(Vec<OsString>, Vec<OsString>, String)> {
    match peers::prepare(Language::Python, directory)? {
        Readiness::Ready { programs, toolchain } => Ok((programs.host, programs.plugin, toolchain)),
        Readiness::Missing(why) | Readiness::Broken(why) => Err(why.into()),
    }
}

/// A required toolchain that is there may still be of no use, for example without a network.
fn refuse_missing(required: &[Tool], peers: &BTreeMap<Language, Readiness>) -> Outcome {
    for (language, readiness) in peers {
        if let (Some(tool), Readiness::Missing(why)) = (language.tool(), readiness)
            && required.contains(&tool)
        {
            return Err(format!("{tool} is required, but {why}").into());
        }
    }
    Ok(())
}

fn judge(results: &[CellResult]) -> Outcome {
    let count =
        |wanted: fn(&Verdict) -> bool| results.iter().filter(|result| wanted(&result.verdict)).count();
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    if failed > 0 {
        return Err(format!("{failed} of {} cells failed", results.len()).into());
    }
    if count(|verdict| matches!(verdict, Verdict::Passed)) == 0 {
        return Err("no cell could run".into());
    }
    Ok(())
}
