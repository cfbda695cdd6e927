//! `cargo xtask bench`: how fast this library is beside others, on this machine.
//!
//! Each pair of host and plugin is measured in turn, round after round, so that other work of the machine slows all of them.
//! The ratio within a round is the result.
//!
//! A whole run writes `docs/performance/results.json`, the tables in `docs/performance.md` and the table in the README. A
//! part of a run is printed, and kept in the target directory.

mod counts;
mod figures;
mod pairs;
mod report;
mod runner;
mod tables;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use self::pairs::{Pair, Programs};
use self::report::{RESULTS, Report, Row};
use crate::workspace::{self, Outcome, Workspace};

pub(crate) use self::tables::check;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The pairs to compare with
    #[arg(long, value_delimiter = ',', default_value = "go,tonic,itself")]
    against: Vec<Pair>,
    /// Fewer and shorter rounds
    #[arg(long)]
    quick: bool,
    /// Measure only the figures whose name contains this
    #[arg(long, value_name = "TEXT")]
    figure: Option<String>,
    /// The number of rounds
    #[arg(long)]
    rounds: Option<usize>,
    /// List the figures and measure nothing
    #[arg(long)]
    list: bool,
    /// Count the system calls of a call instead, with strace, for this library alone
    #[arg(long)]
    counts: bool,
    /// Count kit-bench and kit-plugin of this directory, and build nothing
    #[arg(long, value_name = "DIRECTORY", requires = "counts")]
    built: Option<PathBuf>,
    /// Measure nothing; write the tables again from the recorded results
    #[arg(long)]
    papers: bool,
}

/// Builds the programs, measures, and writes the results.
pub(crate) fn run(options: &Options) -> Outcome {
    let root = workspace::root();
    if options.papers {
        let text = fs::read_to_string(root.join(RESULTS));
        let text = text.map_err(|error| format!("{RESULTS}: {error}; run `cargo xtask bench`"))?;
        return write_pages(&serde_json::from_str(&text)?);
    }
    let mut figures = figures::all(options.quick);
    figures.retain(|figure| options.figure.as_ref().is_none_or(|text| figure.name.contains(text)));
    if figures.is_empty() {
        return Err("no figure has such a name; `--list` shows them".into());
    }
    if options.list {
        figures.iter().for_each(|figure| println!("{}", figure.name));
        return Ok(());
    }

    let directory = Workspace::load()?.target.join("bench");
    fs::create_dir_all(&directory)?;
    if options.counts {
        let programs = match &options.built {
            Some(built) => Programs::of_directory(built),
            None => pairs::prepare(&[], &directory)?,
        };
        return counts::run(&programs, &directory);
    }
    let programs = pairs::prepare(&options.against, &directory)?;
    let mut report = Report::begin(options.quick, &programs)?;
    if report.machine.is_busy() {
        println!("\nthis machine does other work (load {:.1}): only the ratios count\n", report.machine.load);
    }
    let begin = Instant::now();
    for (number, figure) in (1..).zip(&figures) {
        println!("[{number}/{}, {:.0} s] {}", figures.len(), begin.elapsed().as_secs_f64(), figure.name);
        let rounds = options.rounds.unwrap_or(figure.rounds);
        let rows = runner::measure(figure, rounds, &programs, &directory);
        rows.iter().for_each(|row| println!("   {}", tables::line(row)));
        report.rows.extend(rows);
    }
    report.rows.extend(Row::sizes(&programs));
    report.machine.end();

    if options.quick || options.figure.is_some() {
        let file = directory.join("results.json");
        report.write(&file)?;
        println!("results: {}", file.display());
    } else {
        report.write(&root.join(RESULTS))?;
        write_pages(&report)?;
    }
    // A target that is missed is a finding and not a failure.
    let failed = report.rows.iter().filter(|row| !row.failures.is_empty());
    let failed: Vec<_> = failed.map(|row| row.what.as_str()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed in a round: {}", failed.join(", ")).into()) }
}

/// Writes the tables.
fn write_pages(report: &Report) -> Outcome {
    let root = workspace::root();
    for (path, page) in tables::pages(report, |path| fs::read_to_string(root.join(path)).ok())? {
        workspace::settle(path, page.as_bytes(), false)?;
    }
    Ok(())
}
