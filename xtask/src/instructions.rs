//! `cargo xtask instructions`: how many instructions the small pieces of work in `tests/instructions` take, beside a baseline.
//!
//! Wall time is of little use on a machine that does other work. Instructions are the same in each run. They depend on the
//! compiler and on the C library too, and so the baseline names its tools.

mod baseline;

use std::fs;
use std::path::Path;
use std::process::Command;

use self::baseline::{Baseline, Counts, difference, tools};
use crate::workspace::{Outcome, Workspace, cargo, succeed};

/// Options of `cargo xtask instructions`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Make the counts of this run the baseline
    #[arg(long)]
    write: bool,
}

/// Why nothing can be counted here, or the counts cannot be compared with the baseline.
pub(crate) fn obstacle() -> Option<String> {
    match tools() {
        // An unreadable baseline is an error of the run itself.
        Ok(here) => difference(&here, &Baseline::load().ok()?.made_with),
        Err(why) => Some(why),
    }
}

/// Counts, and writes the baseline or compares with it.
pub(crate) fn run(options: &Options) -> Outcome {
    let here = tools()?;
    let instructions = count()?;
    if options.write {
        return Baseline { made_with: here, instructions }.save();
    }
    let baseline = Baseline::load()?;
    let worse = baseline.compare(&instructions);
    if let Some(difference) = difference(&here, &baseline.made_with) {
        println!("the figures are not comparable: {difference}");
        return Ok(());
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(format!("{}; if that is meant: cargo xtask instructions --write", worse.join("; ")).into())
}

/// The instructions of each piece of work, done once.
fn count() -> Outcome<Counts> {
    succeed(&mut cargo(BUILD.split(' ')))?;
    let program = Workspace::load()?.target.join("instructions/rpcplugin-instructions");
    let listed = String::from_utf8(Command::new(&program).output()?.stdout)?;
    let mut lines = listed.lines();
    let times = lines.next().and_then(|line| line.strip_prefix("times "));
    let times: u64 = times.ok_or("the program does not print how often it repeats a piece")?.parse()?;
    lines.map(|name| Ok((name.to_owned(), callgrind(&program, name)? / times))).collect()
}

const BUILD: &str = "build --quiet --package rpcplugin-instructions --profile instructions";

/// The instructions of one piece of work, without the code around it, as valgrind's callgrind counts them.
fn callgrind(program: &Path, piece: &str) -> Outcome<u64> {
    let directory = tempfile::tempdir()?;
    let profile = directory.path().join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*counted_by_callgrind*"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .arg(piece)
        .output()
        .map_err(|error| format!("valgrind cannot be started: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{piece}` failed under valgrind: {}\n{stderr}", output.status).into());
    }
    match total(&fs::read_to_string(&profile)?) {
        None | Some(0) => Err(format!("valgrind counted nothing in `{piece}`").into()),
        Some(count) => Ok(count),
    }
}

/// The sum over all functions, which is a line of the profile.
fn total(profile: &str) -> Option<u64> {
    profile.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_sum_is_found() {
        assert_eq!(
            total("# callgrind format\nevents: Ir\nsummary: 0\n\nfn=(1)\n1 2\ntotals: 485415\n"),
            Some(485_415)
        );
        assert_eq!(total("# callgrind format\nevents: Ir\n"), None);
    }
}
