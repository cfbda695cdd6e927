//! The oldest compiler that is promised to work: `rust-version` in the workspace's manifest.

use std::process::Command;

use super::{Step, Verdict};
use crate::toolchain::{first_line, rustup};
use crate::workspace::succeed;

/// Checks the facade and the program, which are what users build, with that compiler, in a target directory of its own.
/// Where it is the compiler of all other steps, they have done that already.
pub(super) fn step() -> Step {
    let reproduce = format!("rustup run {PROMISED} cargo {LINE}");
    Step { name: "oldest compiler", reproduce, action: Box::new(check) }
}

/// `rust-version` of this package, which is the workspace's.
const PROMISED: &str = env!("CARGO_PKG_RUST_VERSION");

const LINE: &str = "check -p rpcplugin -p rpcplugin-cli --target-dir target/msrv";

fn check() -> Verdict {
    if let Ok(running) = first_line(Command::new("rustc").arg("--version"))
        && running.split(' ').nth(1).is_some_and(|version| is_release(version, PROMISED))
    {
        println!("   every step of this run is done by {running}");
        return Verdict::Pass;
    }
    let toolchains = match Command::new("rustup").args(["toolchain", "list"]).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(why) => return Verdict::Skipped(format!("rustup cannot be started: {why}")),
    };
    let mut names = toolchains.lines().filter_map(|line| line.split_whitespace().next());
    let Some(toolchain) = names.find(|name| is_release(name, PROMISED)) else {
        return Verdict::Skipped(format!(
            "Rust {PROMISED} is not installed: rustup toolchain install {PROMISED}"
        ));
    };
    succeed(rustup(toolchain, "cargo").args(LINE.split(' '))).map_err(Into::into).into()
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
