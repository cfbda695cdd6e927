//! The oldest compiler that is promised to work: `rust-version` in the workspace's manifest.

use std::process::Command;

use super::{Step, given};
use crate::toolchain::{first_line, rustup};
use crate::workspace::{Outcome, succeed};

/// Checks the facade and the program, which are what users build, with that compiler, in a target directory of its own.
/// Where it is the compiler of all other steps, they have done that already.
pub(super) fn step() -> Step {
    let reproduce = format!("rustup run {PROMISED} cargo {LINE}");
    let step = Step::new("oldest compiler", reproduce, || check().into());
    given(|| compiler().map(drop), Step { is_beside: true, ..step })
}

/// `rust-version` of this package, which is the workspace's.
const PROMISED: &str = env!("CARGO_PKG_RUST_VERSION");

const LINE: &str = "check -p rpcplugin -p rpcplugin-cli --target-dir target/msrv";

/// A toolchain with that compiler.
enum Oldest {
    /// The toolchain of this run.
    Running(String),
    /// Another toolchain.
    Installed(String),
}

fn check() -> Outcome {
    match compiler()? {
        Oldest::Running(version) => println!("   every step of this run is done by {version}"),
        Oldest::Installed(toolchain) => succeed(rustup(&toolchain, "cargo").args(LINE.split(' ')))?,
    }
    Ok(())
}

fn compiler() -> Result<Oldest, String> {
    if let Ok(running) = first_line(Command::new("rustc").arg("--version"))
        && running.split(' ').nth(1).is_some_and(|version| is_release(version, PROMISED))
    {
        return Ok(Oldest::Running(running));
    }
    let toolchains = Command::new("rustup").args(["toolchain", "list"]).output();
    let toolchains = toolchains.map_err(|why| format!("rustup cannot be started: {why}"))?;
    let toolchains = String::from_utf8_lossy(&toolchains.stdout).into_owned();
    let mut names = toolchains.lines().filter_map(|line| line.split_whitespace().next());
    match names.find(|name| is_release(name, PROMISED)) {
        Some(toolchain) => Ok(Oldest::Installed(toolchain.to_owned())),
        None => Err(format!("Rust {PROMISED} is not installed: rustup toolchain install {PROMISED}")),
    }
}

/// Whether a toolchain is a release of this version: `1.95.0-x86_64-unknown-linux-gnu` is a release of `1.95`.
fn is_release(toolchain: &str, version: &str) -> bool {
    let rest = toolchain.strip_prefix(version);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::is_release;

    #[test]
    fn releases_are_known_by_their_version() {
        for name in ["1.95", "1.95.0", "1.95.1-x86_64-unknown-linux-gnu"] {
            assert!(is_release(name, "1.95"), "{name}");
        }
        for name in ["1.9", "1.950.0", "1.96.0", "stable-x86_64-unknown-linux-gnu"] {
            assert!(!is_release(name, "1.95"), "{name}");
        }
    }
}
