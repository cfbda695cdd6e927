//! `cargo xtask ci`: everything that has to hold before a change is accepted, in one run.
//!
//! The run does not stop at a failure, so that one run finds all. Steps share the target directory, the `dev`
//! profile and the feature set wherever they can, so that nothing is compiled twice without need.

mod beside;
mod deny;
mod msrv;
mod packages;
mod plain;
mod quick;
mod steps;

use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::toolchain::Tool;
use crate::workspace::{Outcome, cargo};

/// Options of `cargo xtask ci`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Fail without these toolchains, instead of skipping their peers
    #[arg(long, value_delimiter = ',')]
    pub(crate) require: Vec<Tool>,
    /// Also run steps that take long and rarely fail, such as the fuzz targets for a minute each
    #[arg(long)]
    pub(crate) full: bool,
    /// Check and test what has changed, in minutes, in place of all
    #[arg(long, conflicts_with_all = ["full", "require"])]
    quick: bool,
    /// Run only the steps whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// One check.
struct Step {
    name: &'static str,
    /// The command that runs this step alone.
    reproduce: String,
    /// Checks that this machine has what the step needs.
    needed: Option<Box<dyn FnOnce() -> Result<(), String>>>,
    action: Action,
    /// Whether the step may run beside all others: it compiles in a target directory of its own.
    is_beside: bool,
}

type Action = Box<dyn FnOnce() -> Verdict>;

impl Step {
    fn new(name: &'static str, reproduce: String, action: impl FnOnce() -> Verdict + 'static) -> Self {
        Self { name, reproduce, needed: None, action: Box::new(action), is_beside: false }
    }
}

/// How a step ended.
enum Verdict {
    Pass,
    Fail(String),
    /// Not run, and why.
    Skipped(String),
}

/// Runs every step and prints the results.
pub(crate) fn run(options: &Options) -> Outcome {
    let wanted = |step: &Step| options.only.as_ref().is_none_or(|text| step.name.contains(text.as_str()));
    let steps = if options.quick { quick::steps()? } else { steps::all(options) };
    let steps: Vec<Step> = steps.into_iter().filter(wanted).collect();
    if steps.is_empty() {
        return Err("no step has such a name".into());
    }
    let begin = Instant::now();
    let steps = beside::begin(steps, options);
    let results: Vec<_> = steps.into_iter().map(run_step).collect();
    println!("\n━━ result ━━");
    for (name, verdict, elapsed) in &results {
        println!("   {name:<26} {:>6.1} s   {verdict}", elapsed.as_secs_f64());
    }
    println!("   {:<26} {:>6.1} s", "all", begin.elapsed().as_secs_f64());
    match results.iter().filter(|(_, verdict, _)| matches!(verdict, Verdict::Fail(_))).count() {
        0 => Ok(()),
        1 => Err("one step failed".into()),
        failed => Err(format!("{failed} steps failed").into()),
    }
}

fn run_step(step: Step) -> (&'static str, Verdict, Duration) {
    println!("\n━━ {} ━━\n   {}", step.name, step.reproduce);
    let begin = Instant::now();
    let verdict = match step.needed.map_or(Ok(()), |needed| needed()) {
        Ok(()) => (step.action)(),
        Err(why) => Verdict::Skipped(why),
    };
    println!("   {verdict} in {:.1} s", begin.elapsed().as_secs_f64());
    (step.name, verdict, begin.elapsed())
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("PASS"),
            Self::Fail(why) => write!(f, "FAIL     {why}"),
            Self::Skipped(why) => write!(f, "SKIPPED  {why}"),
        }
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        outcome.map_or_else(|error| Self::Fail(error.to_string()), |()| Self::Pass)
    }
}

/// A step that is one cargo line.
fn by_cargo(name: &'static str, line: &str, environment: &[(&'static str, String)]) -> Step {
    let (line, environment) = (line.to_owned(), environment.to_vec());
    let variables = environment.iter().map(|(variable, value)| format!("{variable}='{value}' "));
    // A shell needs quotes around the filter of nextest.
    let words = line
        .split(' ')
        .map(|word| if word.contains('(') { format!(" '{word}'") } else { format!(" {word}") });
    let reproduce = format!("{}cargo{}", variables.collect::<String>(), words.collect::<String>());
    Step::new(name, reproduce, move || run_cargo(&line, &environment))
}

/// A step that needs something first, and is skipped with the reason where that is missing.
fn given(needed: impl FnOnce() -> Result<(), String> + 'static, step: Step) -> Step {
    Step { needed: Some(Box::new(needed)), ..step }
}

/// Runs cargo. It prints to the terminal.
fn run_cargo(line: &str, environment: &[(&'static str, String)]) -> Verdict {
    run_command(cargo(line.split(' ')), environment)
}

fn run_command(mut command: Command, environment: &[(&'static str, String)]) -> Verdict {
    match command.envs(environment.iter().map(|(name, value)| (name, value))).status() {
        Ok(status) if status.success() => Verdict::Pass,
        Ok(status) => Verdict::Fail(status.to_string()),
        Err(error) => Verdict::Fail(format!("cargo cannot be started: {error}")),
    }
}
