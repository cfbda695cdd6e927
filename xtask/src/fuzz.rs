//! `cargo xtask fuzz`: the targets of `tests/fuzz`, each for a while.

use std::fs;
use std::process::Command;

use crate::workspace::{self, Outcome, cargo};

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

/// Runs the targets one after the other; fails at the first that finds something.
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
    crate::toolchain::cargo_subcommand("fuzz")?;
    for target in &targets {
        // Nothing here is unsafe, so the address sanitizer would only make it slower.
        let seconds = options.seconds;
        let arguments =
            format!("run {target} --fuzz-dir {DIRECTORY} --sanitizer none -- -max_total_time={seconds}");
        println!("   cargo +nightly fuzz {arguments}");
        // Through rustup, since the proxy that understands `+nightly` is out of the way below `cargo xtask`.
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "cargo", "fuzz"]).args(arguments.split(' '));
        command.current_dir(workspace::root());
        for (name, _) in cargo([]).get_envs() {
            command.env_remove(name);
        }
        let status = command.status().map_err(|error| format!("rustup cannot be started: {error}"))?;
        if !status.success() {
            return Err(format!("the target {target} found something, or could not be built").into());
        }
    }
    println!("{} targets found nothing", targets.len());
    Ok(())
}

const DIRECTORY: &str = "tests/fuzz";
