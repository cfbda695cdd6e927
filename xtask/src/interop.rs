//! `cargo xtask interop`: our hosts and plugins against those of the other implementations.
//!
//! Builds the conformance programs of each language, then runs every host's own list of checks against every
//! plugin, one pair and one way of talking at a time, and looks each time for what was left behind. A language
//! whose toolchain is missing is skipped with the reason, unless it is required.

mod cell;
mod limits;
mod matrix;
mod peers;
mod report;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use self::cell::{CellResult, Verdict};
use self::matrix::{Extent, Language};
use self::peers::Readiness;
use crate::toolchain::{self, Tool};
use crate::workspace::{Outcome, Workspace};

/// Options of `cargo xtask interop`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Toolchains that must be there; the peers of missing ones are otherwise skipped
    #[arg(long, value_delimiter = ',')]
    require: Vec<Tool>,
    /// Run only the cells whose name contains this, for example `go/rust` or `tcp`
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Check brokered connections too, where host and plugin have them
    #[arg(long)]
    broker: bool,
    /// Add cells with the multiplexed broker
    #[arg(long)]
    mux: bool,
    /// Add cells with the given certificates of this directory in place of AutoMTLS
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    /// List the cells and run none
    #[arg(long)]
    list: bool,
    /// Build the peers in other languages and run no cell
    #[arg(long)]
    build: bool,
}

impl Options {
    /// What `cargo xtask ci` asks for in the end: brokered connections too, of both kinds.
    pub(crate) fn everything(require: Vec<Tool>) -> Self {
        Self { require, broker: true, mux: true, ..Self::default() }
    }

    /// What `cargo xtask ci` asks for before the tests.
    pub(crate) fn building(require: Vec<Tool>) -> Self {
        Self { require, build: true, ..Self::default() }
    }
}

/// Builds the peers, runs the cells, prints the table and writes the report.
pub(crate) fn run(options: &Options) -> Outcome {
    let extent = Extent { broker: options.broker, mux: options.mux, tls_dir: options.tls_dir.clone() };
    let wanted =
        |cell: &matrix::Cell| options.filter.as_ref().is_none_or(|text| cell.to_string().contains(text));
    let cells: Vec<_> = matrix::cells(&extent).into_iter().filter(wanted).collect();
    if cells.is_empty() {
        return Err("no cell has such a name; `--list` shows them".into());
    }
    if options.list {
        cells.iter().for_each(|cell| println!("{cell}"));
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
    let mut peers = BTreeMap::new();
    for language in Language::ALL {
        if cells.iter().any(|cell| cell.host == language || cell.plugin == language) {
            peers.insert(language, peers::prepare(language, &directory)?);
        }
    }
    refuse_missing(&options.require, &peers)?;

    let mut results = Vec::new();
    for cell in cells {
        let result = cell::run(&cell, &peers, &extent, &directory)?;
        report::print_cell(&result);
        results.push(result);
    }
    report::print_table(&results);
    report::write(&directory, &results, &peers)?;
    judge(&results)
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
