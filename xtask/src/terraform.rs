//! `cargo xtask terraform`: the real Terraform against the demo provider.
//!
//! Builds the provider and runs `terraform` with it, as a user would: every scenario in a fresh directory, with a
//! store and a place for temporary files of its own. A scenario looks at what Terraform printed and stored, at the
//! store's files and at Terraform's trace log; and whatever it looks at, no process may have been killed, no error
//! logged about one, and nothing may be left behind.

mod attached;
mod log;
mod place;
mod scenarios;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use self::place::Place;
use self::scenarios::Scenario;
use crate::toolchain::Tool;
use crate::workspace::{Outcome, Workspace, cargo};

/// Options of `cargo xtask terraform`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Fail if there is no terraform, instead of skipping
    #[arg(long)]
    pub(crate) require: bool,
    /// Run only the scenarios whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// List the scenarios and run none
    #[arg(long)]
    list: bool,
}

impl Options {
    /// What `cargo xtask ci` asks for.
    pub(crate) fn requiring(require: bool) -> Self {
        Self { require, ..Self::default() }
    }
}

/// Builds the provider, runs the scenarios, and says what came of them.
pub(crate) fn run(options: &Options) -> Outcome {
    let wanted = |scenario: &Scenario| {
        options.filter.as_ref().is_none_or(|text| scenario.name.contains(text.as_str()))
    };
    let scenarios: Vec<_> = scenarios::all().into_iter().filter(wanted).collect();
    if scenarios.is_empty() {
        return Err("no scenario has such a name; `--list` shows them".into());
    }
    if options.list {
        scenarios.iter().for_each(|scenario| println!("{}", scenario.name));
        return Ok(());
    }
    match Tool::Terraform.version() {
        Ok(version) => println!("{version}"),
        Err(why) if options.require => return Err(format!("required, but {why}").into()),
        Err(why) => {
            println!("SKIPPED  {why}");
            return Ok(());
        }
    }

    let provider = provider()?;
    let begin = Instant::now();
    let failed = scenarios.iter().filter(|scenario| !passes(scenario, &provider)).count();
    let passed = scenarios.len() - failed;
    println!("\n{passed} passed, {failed} failed, {:.1} s", begin.elapsed().as_secs_f64());
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} scenarios failed", scenarios.len()).into()) }
}

/// Builds the provider, and puts it alone into a directory, for Terraform takes the first that fits.
fn provider() -> Outcome<PathBuf> {
    let status = cargo(["build", "--quiet", "--package", "rpcplugin-tests", "--bin", NAME]).status()?;
    if !status.success() {
        return Err("the provider cannot be built".into());
    }
    let target = Workspace::load()?.target;
    let directory = target.join("terraform/provider");
    fs::create_dir_all(&directory)?;
    let provider = directory.join(NAME);
    // Beside it and then in its place: a copy that runs, perhaps for another of these, cannot be written to.
    let copy = directory.join(format!(".{NAME}.{}", std::process::id()));
    fs::copy(target.join("debug").join(NAME), &copy)?;
    fs::rename(&copy, &provider)?;
    Ok(provider)
}

/// Runs one scenario and prints a line; more if it fails.
fn passes(scenario: &Scenario, provider: &std::path::Path) -> bool {
    let begin = Instant::now();
    let verdict = Place::new(provider, &scenario.environment).and_then(|place| {
        let verdict = (scenario.run)(&place).and_then(|()| place.check_nothing_left());
        verdict.map_err(|why| format!("{why}\n{}", place.keep()).into())
    });
    let seconds = begin.elapsed().as_secs_f64();
    match verdict {
        Ok(()) => println!("PASS  {:<44} {seconds:>5.1} s", scenario.name),
        Err(why) => {
            println!("FAIL  {:<44} {seconds:>5.1} s", scenario.name);
            why.to_string().lines().for_each(|line| println!("      {line}"));
            return false;
        }
    }
    true
}

/// The file name by which Terraform knows the provider `demo`.
const NAME: &str = "terraform-provider-demo";
