//! Runs of the fuzz targets, and what each run has done.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Counted, Target};
use crate::workspace::Outcome;

/// The figures of one run, as the program prints them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: u64,
    per_second: u64,
    /// The edges of the code that were reached.
    edges: u64,
    /// The most memory, in MiB.
    memory: u64,
}

/// Runs all targets, whose programs are in the directory `built`, `jobs` at once, and prints what each has done. Returns the
/// figures of each, and an error if a target has found something.
pub(super) fn all(
    targets: Vec<Target>,
    built: &Path,
    seconds: u32,
    jobs: usize,
) -> (BTreeMap<String, Counted>, Outcome) {
    let count = targets.len();
    let minutes = u64::from(seconds) * count.div_ceil(jobs) as u64 / 60;
    println!("{count} targets, {jobs} at once, {seconds} s each: about {minutes} minutes\n");
    println!("{:<20} {:>14} {:>9} {:>7} {:>6}", "target", "executions", "per s", "edges", "MiB");
    let waiting = Mutex::new(targets.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || {
        let mut done: Vec<(String, Counted, bool)> = Vec::new();
        while let Some(target) = next() {
            let (figures, found) = one(&target, built, seconds).unwrap_or_else(|why| {
                (Figures::default(), Err(format!("{} could not be run: {why}", target.name)))
            });
            let Figures { executions, per_second, edges, memory } = figures;
            println!("{:<20} {executions:>14} {per_second:>9} {edges:>7} {memory:>6}", target.name);
            if let Err(why) = &found {
                println!("   {why}");
            }
            let counted = Counted { executions, per_second: Some(per_second), lines: None };
            done.push((target.name, counted, found.is_ok()));
        }
        done
    };
    let done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("the worker does not panic")).collect()
    });
    println!("{:<20} {:>14}", "together", done.iter().map(|(_, counted, _)| counted.executions).sum::<u64>());
    let outcome = match done.iter().filter(|(.., clean)| !clean).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {count} targets have found something").into()),
    };
    (done.into_iter().map(|(name, counted, _)| (name, counted)).collect(), outcome)
}

/// Runs one target.
fn one(target: &Target, built: &Path, seconds: u32) -> Outcome<(Figures, Result<(), String>)> {
    let (corpus, seeds) = (target.folder("corpus")?, target.folder("seeds")?);
    let artifacts = target.folder("artifacts")?;
    let log = artifacts.with_extension("log");
    let printed = File::create(&log)?;
    let mut command = Command::new(built.join(&target.name));
    command.args([&corpus, &seeds]).args(LIMITS).arg("-print_final_stats=1");
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(printed);
    let status = command.status()?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let found = if status.success() {
        Ok(())
    } else {
        let mut written =
            text.lines().filter_map(|line| line.split_once("written to ")).map(|(_, path)| path);
        let why = written.next_back().unwrap_or("an input that was not written");
        Err(format!(
            "{} found {why}; its output is in {}. Mend the code, and copy the input to tests/fuzz/seeds/{}",
            target.name,
            log.display(),
            target.name
        ))
    };
    Ok((figures(&text), found))
}

/// Reads the figures out of what the program has printed.
fn figures(printed: &str) -> Figures {
    let number = |text: &str| text.trim().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    let after = |mark: &str| printed.rsplit_once(mark).and_then(|(_, rest)| number(rest)).unwrap_or(0);
    Figures {
        executions: after("stat::number_of_executed_units:"),
        per_second: after("stat::average_exec_per_sec:"),
        edges: after(" cov: "),
        memory: after("stat::peak_rss_mb:"),
    }
}

/// The limits of one input: its length in bytes, its time in seconds, and the memory of the program in MiB.
const LIMITS: [&str; 3] = ["-max_len=4096", "-timeout=20", "-rss_limit_mb=1024"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_at_the_end() {
        let printed = "INFO: Loaded 1 modules   (4321 inline 8-bit counters): 4321 [0x5, 0x6), \n\
                       #2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 40Mb\n\
                       #1024\tNEW    cov: 345 ft: 400 corp: 30/1Kb lim: 4 exec/s: 0 rss: 41Mb\n\
                       Done 1048576 runs in 11 second(s)\n\
                       stat::number_of_executed_units: 1048576\n\
                       stat::average_exec_per_sec:     95325\n\
                       stat::new_units_added:          30\n\
                       stat::peak_rss_mb:              77\n";
        let expected = Figures { executions: 1_048_576, per_second: 95325, edges: 345, memory: 77 };
        assert_eq!(figures(printed), expected);
        assert_eq!(figures("a panic"), Figures::default());
    }
}
