//! Programs that the peers and checks need and that may be missing.

use std::fmt;
use std::process::Command;

use clap::ValueEnum;

use crate::workspace;

/// A toolchain that `--require` can insist on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    Go,
    Python,
    Terraform,
    Podman,
    /// What the step `cluster` needs.
    Cluster,
}

impl Tool {
    /// The version that the tool prints, or why it cannot be used.
    pub(crate) fn version(self) -> Result<String, String> {
        let (program, argument) = match self {
            Self::Go => ("go", "version"),
            Self::Python => ("python3", "--version"),
            Self::Terraform => ("terraform", "version"),
            Self::Podman => ("podman", "--version"),
            Self::Cluster => ("containerd", "--version"),
        };
        first_line(Command::new(program).arg(argument))
            .map_err(|why| format!("no {self:?} toolchain ({why})"))
    }
}

/// As `--require` takes it.
impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// Whether `cargo NAME` exists.
pub(crate) fn cargo_subcommand(name: &str) -> Result<(), String> {
    let mut probe = workspace::cargo([name, "--version"]);
    first_line(&mut probe)
        .map(drop)
        .map_err(|_| format!("cargo-{name} is not installed: cargo install --locked cargo-{name}"))
}

/// A program of another toolchain, run in the workspace. The proxy that understands `+nightly` is out of the way below
/// `cargo xtask`, and rustup does the same.
pub(crate) fn rustup(toolchain: &str, program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, program]).current_dir(workspace::root());
    workspace::forget_cargo(&mut command);
    // The cargo that runs xtask sets these for its own toolchain.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    command
}

/// The first line that the command prints, if it succeeds.
pub(crate) fn first_line(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}
