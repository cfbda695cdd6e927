//! The oldest compiler that is promised to work: `rust-version` in the workspace's manifest.

use std::process::Command;

use super::{Step, Verdict};
use crate::workspace::{self, Workspace};

/// Checks what users build, the facade and the program, with that compiler, in a target directory of its own. Where
/// it is the one that runs all other steps, they have done that already.
pub(super) fn step() -> Step {
    let action = Box::new(|| match promised() {
        Ok(promised) => check(&promised),
        Err(why) => Verdict::Fail(why),
    });
    let reproduce =
        "rustup run RUST-VERSION cargo check -p rpcplugin -p rpcplugin-cli --target-dir target/msrv";
    Step { name: "oldest compiler", reproduce: reproduce.to_owned(), action }
}

fn check(promised: &str) -> Verdict {
    let running = printed(Command::new("rustc").arg("--version"));
    if running
        .as_ref()
        .is_ok_and(|version| version.split(' ').nth(1).is_some_and(|v| is_release(v, promised)))
    {
        println!("   every step of this run is done by {}", running.unwrap_or_default().trim());
        return Verdict::Pass;
    }
    let toolchains = match printed(Command::new("rustup").args(["toolchain", "list"])) {
        Ok(toolchains) => toolchains,
        Err(why) => return Verdict::Skipped(format!("rustup cannot be asked for Rust {promised}: {why}")),
    };
    let name = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let Some(toolchain) = toolchains.lines().map(name).find(|name| is_release(name, promised)) else {
        return Verdict::Skipped(format!(
            "Rust {promised} is not installed: rustup toolchain install {promised}"
        ));
    };
    let status = Command::new("rustup")
        .args(["run", &toolchain, "cargo", "check", "-p", "rpcplugin", "-p", "rpcplugin-cli"])
        .args(["--target-dir", "target/msrv"])
        .current_dir(workspace::root())
        // Set by the cargo that runs us, and stronger than the name above.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .status();
    match status {
        Ok(status) if status.success() => Verdict::Pass,
        Ok(status) => Verdict::Fail(status.to_string()),
        Err(error) => Verdict::Fail(format!("rustup cannot be started: {error}")),
    }
}

/// What the facade's manifest says, which is what the workspace's does.
fn promised() -> Result<String, String> {
    let workspace = Workspace::load().map_err(|error| error.to_string())?;
    let facade = workspace.crates.into_iter().find(|one| one.name == "rpcplugin");
    facade
        .and_then(|facade| facade.text("rust_version"))
        .ok_or_else(|| "no rust-version is stated".to_owned())
}

/// Whether a toolchain is a release of this version: `1.95.0-x86_64-unknown-linux-gnu` is one of `1.95`.
fn is_release(toolchain: &str, version: &str) -> bool {
    let rest = toolchain.strip_prefix(version);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

fn printed(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(output.status.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
