//! What the dependencies may be: cargo-deny, as far as it is installed and its database can be reached.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::Step;
use super::steps::{by_cargo, given};
use crate::toolchain::cargo_subcommand;
use crate::workspace::cargo;

/// How long the advisory database may take to arrive. It is a git repository of some megabytes.
const PATIENCE: Duration = Duration::from_secs(90);

/// Bans, licences and sources: needs nothing but the lock file and the sources of the dependencies.
pub(super) fn rules() -> Step {
    given(|| cargo_subcommand("deny"), by_cargo("deny", "deny check bans licenses sources", &[]))
}

/// Known vulnerabilities: needs the advisory database from the network.
pub(super) fn advisories() -> Step {
    let reachable = || cargo_subcommand("deny").and_then(|()| fetch_database());
    given(reachable, by_cargo("deny: advisories", "deny check advisories", &[]))
}

fn fetch_database() -> Result<(), String> {
    let unreachable = |why: String| format!("the advisory database cannot be fetched: {why}");
    let child = cargo(["deny", "fetch", "db"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| unreachable(error.to_string()))?;
    let (ended, stderr) = wait(child).map_err(|error| unreachable(error.to_string()))?;
    match ended {
        Some(true) => Ok(()),
        Some(false) => Err(unreachable(last_line(&stderr))),
        None => Err(unreachable(format!("nothing after {} s", PATIENCE.as_secs()))),
    }
}

/// Waits for the child: whether it succeeded, or nothing if it had to be stopped; and what it said on stderr.
fn wait(mut child: Child) -> std::io::Result<(Option<bool>, String)> {
    let deadline = Instant::now() + PATIENCE;
    let mut ended = None;
    while ended.is_none() && Instant::now() < deadline {
        ended = child.try_wait()?.map(|status| status.success());
        std::thread::sleep(Duration::from_millis(50));
    }
    if ended.is_none() {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    Ok((ended, String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// The innermost cause, which is what the last line tells.
fn last_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given").to_owned()
}
