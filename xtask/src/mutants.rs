//! `cargo xtask mutants`: small faults put into the code, of which the tests of the crate have to notice each.
//!
//! cargo-mutants makes one fault at a time, such as another operator or a function that returns a default, and runs tests.
//! This command chooses the code and the tests, and knows the mutants that change nothing a user could see: [`equivalent`].

mod equivalent;
mod parts;
mod scores;

use std::fs;
use std::path::Path;
use std::process::Command;

use self::equivalent::Equivalents;
use self::parts::{PARTS, Part};
use self::scores::{Made, Score};
use crate::toolchain::cargo_subcommand;
use crate::workspace::{self, Outcome, Workspace};

/// Options of `cargo xtask mutants`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these parts
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// How many mutants are tested at once
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
    /// Make nothing: read the results of earlier runs
    #[arg(long)]
    read: bool,
    /// Put the scores of these parts into docs
    #[arg(long)]
    write: bool,
}

/// Tests the mutants of each part, and fails if one survives that is not known to be equivalent.
pub(crate) fn run(options: &Options) -> Outcome {
    let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
    if let Some(unknown) = options.only.iter().find(|only| !names.contains(&only.as_str())) {
        return Err(format!("no part is called {unknown}; there are: {}", names.join(", ")).into());
    }
    if !options.read {
        cargo_subcommand("mutants")?;
    }
    let equivalents = Equivalents::read()?;
    let results = Workspace::load()?.target.join("mutants");
    let mut scores = Vec::new();
    let mut wrong = 0;
    let chosen = |part: &&Part| options.only.is_empty() || options.only.iter().any(|only| only == part.name);
    for part in PARTS.iter().filter(chosen) {
        let out = results.join(part.name);
        if !options.read {
            test(part, &out, options.jobs)?;
        }
        let made = Made::read(&out.join("mutants.out"))
            .map_err(|error| format!("no results of {}: {error}", part.name))?;
        let (score, missed) = Score::of(part.name, &made, &equivalents);
        println!("{}", score.row());
        missed.iter().for_each(|mutant| println!("   survives: {mutant}"));
        let stale = made.stale(&equivalents);
        stale.iter().for_each(|mutant| println!("   listed as equivalent, and does not survive: {mutant}"));
        wrong += missed.len() + stale.len();
        scores.push(score);
    }
    if options.write {
        let page = fs::read_to_string(workspace::root().join(PAGE))?;
        let page = scores::written(&page, &scores).ok_or("docs/testing.md has no place for the scores")?;
        workspace::settle(PAGE, page.as_bytes(), false)?;
    }
    match wrong {
        0 => Ok(()),
        _ => Err(format!(
            "{wrong} mutants are not as they should be. Kill each with a test, or keep {} true",
            equivalent::LIST
        )
        .into()),
    }
}

/// Runs cargo-mutants on a part. A test that fails, or an end that does not come, is what a mutant is for.
fn test(part: &Part, out: &Path, jobs: usize) -> Outcome {
    fs::create_dir_all(out)?;
    // A mutant may take memory without end.
    let mut mutants = Command::new(if cfg!(unix) { "sh" } else { "cargo" });
    mutants.current_dir(workspace::root());
    workspace::forget_cargo(&mut mutants);
    if cfg!(unix) {
        mutants.args(["-c", "ulimit -v 8388608 2>/dev/null; exec cargo \"$@\"", "sh"]);
    }
    mutants.args(["mutants", "--no-shuffle", "--timeout", "120"]);
    mutants.args(["--jobs", &jobs.to_string()]).arg("--output").arg(out).args(part.arguments());
    // A seed that a property has saved would help to notice later mutants.
    mutants.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").env("CARGO_PROFILE_DEV_DEBUG", "0");
    match mutants.status()?.code() {
        Some(0 | SOME_MISSED | SOME_TIMED_OUT) => Ok(()),
        _ => Err(format!("cargo-mutants could not test {}", part.name).into()),
    }
}

/// The exit codes of cargo-mutants after a complete run with such mutants.
const SOME_MISSED: i32 = 2;
const SOME_TIMED_OUT: i32 = 3;

const PAGE: &str = "docs/testing.md";
