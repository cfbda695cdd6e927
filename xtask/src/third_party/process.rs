//! A command that is run within a limit of time, and what it prints.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::leaks;
use crate::workspace::Outcome;

/// How long a command may take. All checks of `conformance` take some ten seconds, or a minute on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_secs(5 * 60);

/// A command that has ended.
pub(super) struct Ended {
    pub(super) status: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    /// The JSON on stdout.
    pub(super) fn json(&self) -> Result<Value, String> {
        serde_json::from_str(&self.stdout).map_err(|error| format!("no JSON was printed: {error}"))
    }

    /// The last line that says something, on stderr or else on stdout.
    pub(super) fn last_words(&self) -> String {
        let both = [&self.stderr, &self.stdout];
        let said = both.into_iter().find_map(|text| text.lines().rev().find(|line| !line.trim().is_empty()));
        said.unwrap_or("nothing was printed").trim().chars().take(200).collect()
    }
}

/// Runs a command with a process group and temporary files of its own. It must leave no process.
pub(super) fn run(command: &mut Command, name: &str, logs: &Path) -> Outcome<Ended> {
    let ended = leaks::run(command, name, logs, LIMIT)?;
    let status = ended.status?.ok_or_else(|| format!("{name} took longer than {} s", LIMIT.as_secs()))?;
    if !ended.processes.is_empty() {
        return Err(format!("{name} left {}", ended.processes.join(", ")).into());
    }
    let text = |path: PathBuf| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Ended {
        status: status.code().unwrap_or(-1),
        stdout: text(ended.stdout)?,
        stderr: text(ended.stderr)?,
    })
}
