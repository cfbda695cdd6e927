//! `cargo xtask fuzz`: the targets of `tests/fuzz`, one after the other.

use std::fs;

use crate::toolchain::{cargo_subcommand, rustup};
use crate::workspace::{self, Outcome, succeed};

/// Options of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u32,
    /// Run only these targets
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
}

/// Runs the targets, and fails at the first that finds something.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut targets = Vec::new();
    for entry in fs::read_dir(workspace::root().join(DIRECTORY).join("fuzz_targets"))? {
        let path = entry?.path();
        targets.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    targets.sort_unstable();
    if let Some(unknown) = options.only.iter().find(|only| !targets.contains(only)) {
        return Err(format!("no target is called {unknown}; there are: {}", targets.join(", ")).into());
    }
    targets.retain(|target| options.only.is_empty() || options.only.contains(target));
    cargo_subcommand("fuzz")?;
    for target in &targets {
        let mut fuzz = rustup("nightly", "cargo");
        // No code is unsafe, and the address sanitizer would only make it slower.
        fuzz.args(["fuzz", "run", target, "--fuzz-dir", DIRECTORY, "--sanitizer", "none", "--"]);
        fuzz.arg(format!("-max_total_time={}", options.seconds));
        succeed(&mut fuzz)
            .map_err(|why| format!("{target} found something, or could not be built: {why}"))?;
    }
    println!("{} targets found nothing", targets.len());
    Ok(())
}

const DIRECTORY: &str = "tests/fuzz";
