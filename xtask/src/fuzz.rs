//! `cargo xtask fuzz`: the targets of `tests/fuzz`, several at once.

mod coverage;
mod page;
mod runs;
mod targets;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use self::page::Counted;
use self::targets::Target;
use crate::toolchain::{cargo_subcommand, first_line, rustup};
use crate::workspace::{self, Outcome, Workspace, succeed};

/// Options of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many seconds each target runs
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub(crate) seconds: u32,
    /// How many minutes each target runs
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    pub(crate) minutes: Option<u32>,
    /// How many targets run at once
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub(crate) jobs: usize,
    /// Only these targets
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) only: Vec<String>,
    /// Measure how much of its code each target runs, with the seeds and with what earlier runs have found
    #[arg(long)]
    pub(crate) coverage: bool,
    /// Add the executions to those in docs, or with --coverage, put the lines there
    #[arg(long)]
    pub(crate) write: bool,
}

impl Options {
    /// All targets for so many seconds each.
    pub(crate) fn for_seconds(seconds: u32) -> Self {
        Self { seconds, minutes: None, jobs: 2, only: Vec::new(), coverage: false, write: false }
    }

    /// Puts the figures into docs, if that is wanted.
    fn write(&self, counted: &BTreeMap<String, Counted>) -> Outcome {
        if !self.write {
            return Ok(());
        }
        let page = fs::read_to_string(workspace::root().join(PAGE))?;
        let page = page::written(&page, &targets::all()?, counted)
            .ok_or_else(|| format!("{PAGE} has no place for the figures"))?;
        workspace::settle(PAGE, page.as_bytes(), false).map(drop)
    }
}

/// What this machine lacks.
pub(crate) fn obstacle() -> Result<(), String> {
    cargo_subcommand("fuzz")?;
    first_line(rustup("nightly", "rustc").arg("--version"))
        .map(drop)
        .map_err(|why| format!("no nightly compiler ({why})"))
}

/// Runs the targets to their end, and fails if one of them has found something.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut targets = targets::all()?;
    if let Some(unknown) =
        options.only.iter().find(|only| !targets.iter().any(|target| target.name == **only))
    {
        let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
        return Err(format!("no target is called {unknown}; there are: {}", names.join(", ")).into());
    }
    targets.retain(|target| options.only.is_empty() || options.only.contains(&target.name));
    obstacle()?;
    use_locked_versions()?;
    if options.coverage {
        return options.write(&coverage::measure(&targets, &Workspace::load()?.target)?);
    }
    let (built, system) = (Workspace::load()?.target, system()?);
    let mut build = rustup("nightly", "cargo");
    // No code is unsafe, and the address sanitizer would only make it slower.
    build.args(["fuzz", "build", "--fuzz-dir", DIRECTORY, "--sanitizer", "none", "--target", &system]);
    build.arg("--target-dir").arg(&built);
    if let [only] = &*targets {
        build.arg(&only.name);
    }
    succeed(&mut build)?;
    let seconds = options.minutes.map_or(options.seconds, |minutes| minutes * 60);
    let (counted, outcome) =
        runs::all(targets, &built.join(system).join("release"), seconds, options.jobs.max(1));
    options.write(&counted)?;
    outcome
}

/// Uses the versions of third-party crates that the workspace uses.
fn use_locked_versions() -> Outcome {
    let (from, to) = (workspace::root().join("Cargo.lock"), directory().join("Cargo.lock"));
    let age = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    if age(&to).is_none_or(|to| age(&from).is_some_and(|from| from > to)) {
        fs::copy(from, to)?;
    }
    Ok(())
}

/// The system of this machine as Rust names it, for which the targets are built.
fn system() -> Outcome<String> {
    let output = rustup("nightly", "rustc").arg("-vV").output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(host_in(&printed).ok_or("the nightly rustc does not print its host")?.to_owned())
}

fn host_in(version: &str) -> Option<&str> {
    version.lines().find_map(|line| line.strip_prefix("host:")).map(str::trim)
}

fn directory() -> PathBuf {
    workspace::root().join(DIRECTORY)
}

impl Target {
    /// A folder of the target, such as that of its seeds. It exists.
    fn folder(&self, kind: &str) -> Outcome<PathBuf> {
        let folder = directory().join(kind).join(&self.name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

const DIRECTORY: &str = "tests/fuzz";
const PAGE: &str = "docs/testing.md";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_the_host_of_the_compiler() {
        let printed =
            "rustc 1.95.0-nightly (abc 2026-11-01)\nbinary: rustc\nhost: x86_64-apple-darwin\nrelease: 1\n";
        assert_eq!(host_in(printed), Some("x86_64-apple-darwin"));
        assert_eq!(host_in("rustc 1.95.0"), None);
    }
}
