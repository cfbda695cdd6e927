//! `cargo xtask bench`: how fast this library is, beside others, on this machine and in this hour.
//!
//! Every figure is measured in turn, this library's pair of host and plugin and then each other pair, round after
//! round, so that whatever else the machine does falls on all of them. What counts is the ratio within a round.
//!
//! A whole run writes `docs/performance/results.json` and everything that is made from it: a chart, the tables in
//! `docs/performance.md` and the one in the README. A part of one is printed and kept in the target directory.

mod chart;
mod machine;
mod pairs;
mod papers;
mod plan;
mod results;
mod runner;
mod table;

use std::fs;
use std::time::Instant;

use self::pairs::Pair;
use self::plan::Effort;
use self::results::{Report, Row};
use crate::workspace::{Outcome, Workspace};

pub(crate) use self::papers::check;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to compare with
    #[arg(long, value_delimiter = ',', default_value = "go,tonic")]
    against: Vec<Pair>,
    /// Fewer and shorter rounds
    #[arg(long)]
    quick: bool,
    /// Measure only the figures whose name contains this
    #[arg(long, value_name = "TEXT")]
    figure: Option<String>,
    /// How many rounds
    #[arg(long)]
    rounds: Option<usize>,
    /// Use the programs that are there instead of building them
    #[arg(long)]
    no_build: bool,
    /// List the figures and measure none
    #[arg(long)]
    list: bool,
    /// Measure nothing; write chart and tables anew from the results that are there
    #[arg(long)]
    papers: bool,
}

/// Builds the programs, measures, prints the table and writes the results.
pub(crate) fn run(options: &Options) -> Outcome {
    if options.papers {
        return papers::write(&Report::read()?);
    }
    let effort = Effort { quick: options.quick };
    let wanted = |figure: &plan::Figure| {
        options.figure.as_ref().is_none_or(|text| figure.name.contains(text.as_str()))
    };
    let figures: Vec<_> = plan::figures(effort).into_iter().filter(wanted).collect();
    if figures.is_empty() {
        return Err("no figure has such a name; `--list` shows them".into());
    }
    if options.list {
        figures.iter().for_each(|figure| println!("{}", figure.name));
        return Ok(());
    }

    let directory = Workspace::load()?.target.join("bench");
    fs::create_dir_all(&directory)?;
    let programs = pairs::prepare(&options.against, &directory, options.no_build)?;
    let mut report = Report::begin(options.quick, &programs);
    if report.machine.is_busy() {
        println!(
            "\nthis machine does other work (load {:.1}): only the ratios mean something\n",
            report.machine.load
        );
    }
    let begin = Instant::now();
    for (number, figure) in (1..).zip(&figures) {
        println!("[{number}/{}, {:.0} s] {}", figures.len(), begin.elapsed().as_secs_f64(), figure.name);
        let rounds = options.rounds.unwrap_or_else(|| figure.rounds(effort));
        let rows = runner::measure(figure, rounds, &programs);
        rows.iter().for_each(|row| println!("   {}", table::line(row)));
        report.rows.extend(rows);
    }
    report.rows.extend(programs.sizes());
    report.machine.end();

    println!("\n{}", table::text(&report));
    let whole = !options.quick && options.figure.is_none();
    if whole {
        report.write()?;
        papers::write(&report)?;
    } else {
        let file = directory.join("results.json");
        fs::write(&file, report.to_json()?)?;
        println!("results: {}", file.display());
    }
    judge(&report.rows)
}

/// A figure that could not be measured is a failure of this command; one that misses its target is a finding.
fn judge(rows: &[Row]) -> Outcome {
    let failed: Vec<_> =
        rows.iter().filter(|row| !row.failures.is_empty()).map(|row| row.what.as_str()).collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("not measured throughout: {}", failed.join(", ")).into())
    }
}
