//! `cargo xtask instructions`: how many instructions the small pieces of `tests/instructions` take, beside what they
//! took before.
//!
//! Wall time says little on a machine that does other things; instructions are the same in each run. They depend on
//! the compiler and on the C library too, so the baseline tells with which it was made.

mod baseline;
mod callgrind;

use std::process::Stdio;

use self::baseline::{Baseline, Maker};
use crate::workspace::{Outcome, Workspace, cargo};

/// Options of `cargo xtask instructions`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Make what is counted now the baseline
    #[arg(long)]
    write: bool,
}

/// Why nothing is counted here, or counted in vain.
pub(crate) fn obstacle() -> Option<String> {
    let here = match Maker::here() {
        Ok(here) => here,
        Err(why) => return Some(why),
    };
    // An unreadable baseline is an error of the run itself.
    let baseline = Baseline::load().ok()?;
    here.difference(&baseline.made_with)
}

/// Counts, and writes the baseline or compares with it.
pub(crate) fn run(options: &Options) -> Outcome {
    let here = Maker::here()?;
    let counted = count()?;
    if options.write {
        return Baseline { made_with: here, instructions: counted }.save();
    }
    let baseline = Baseline::load()?;
    let worse = baseline.compare(&counted);
    if let Some(difference) = here.difference(&baseline.made_with) {
        println!("the figures are not comparable: {difference}");
        return Ok(());
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(format!("{}; if that is meant to be: cargo xtask instructions --write", worse.join("; ")).into())
}

/// The instructions of each piece, done once.
fn count() -> Outcome<baseline::Counts> {
    let status =
        cargo(BUILD.split(' ')).status().map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !status.success() {
        return Err("the pieces of work cannot be built".into());
    }
    let program = Workspace::load()?.target.join(PROFILE).join("rpcplugin-instructions");
    let listed = std::process::Command::new(&program).stderr(Stdio::inherit()).output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let mut lines = listed.lines();
    let times =
        lines.next().and_then(|line| line.strip_prefix("times ")).ok_or("no number of times is told")?;
    let times: u64 = times.parse()?;
    lines.map(|name| Ok((name.to_owned(), callgrind::count(&program, name)? / times))).collect()
}

const BUILD: &str = "build --quiet --package rpcplugin-instructions --profile instructions";
const PROFILE: &str = "instructions";
