//! Rules for dependencies: cargo-deny, if it is installed and its database can be reached.

use std::process::{Command, Stdio};

use super::{Step, by_cargo, given};
use crate::toolchain::cargo_subcommand;
use crate::workspace;

/// Bans, licences and sources: needs the lock file and the sources of the dependencies only.
pub(super) fn rules() -> Step {
    given(|| cargo_subcommand("deny"), by_cargo("deny", "deny check bans licenses sources", &[]))
}

/// Known vulnerabilities: needs the advisory database from the network.
pub(super) fn advisories() -> Step {
    let reachable = || cargo_subcommand("deny").and_then(|()| fetch_database());
    given(reachable, by_cargo("deny: advisories", "deny check advisories", &[]))
}

/// Fetches the advisory database, a git repository of some megabytes, within 90 seconds.
fn fetch_database() -> Result<(), String> {
    let mut limited = Command::new("timeout");
    limited.args(["90", "cargo", "deny", "fetch", "db"]).stdin(Stdio::null()).current_dir(workspace::root());
    workspace::forget_cargo(&mut limited);
    let output = limited.output().map_err(|error| format!("timeout cannot be started: {error}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    // The last line has the innermost cause.
    let why = match output.status.code() {
        Some(0) => return Ok(()),
        Some(124) => "nothing after 90 s",
        _ => stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given"),
    };
    Err(format!("the advisory database cannot be fetched: {why}"))
}
