//! Programs that the peers need and that may be missing.

use std::fmt;
use std::process::Command;

use clap::ValueEnum;

/// A toolchain that `--require` can insist on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    Go,
    Python,
    Terraform,
}

impl Tool {
    /// What the tool says about its version, or why it cannot be used.
    pub(crate) fn version(self) -> Result<String, String> {
        let (program, argument) = match self {
            Self::Go => ("go", "version"),
            Self::Python => ("python3", "--version"),
            Self::Terraform => ("terraform", "version"),
        };
        first_line(Command::new(program).arg(argument)).map_err(|why| format!("no {self} toolchain ({why})"))
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Go => "Go",
            Self::Python => "Python",
            Self::Terraform => "Terraform",
        })
    }
}

/// Asks each required tool for its version.
pub(crate) fn missing(required: &[Tool]) -> Vec<String> {
    required.iter().filter_map(|tool| tool.version().err()).collect()
}

/// Whether `cargo NAME` exists.
pub(crate) fn cargo_subcommand(name: &str) -> Result<(), String> {
    let mut probe = crate::workspace::cargo([name, "--version"]);
    first_line(&mut probe)
        .map(drop)
        .map_err(|_| format!("cargo-{name} is not installed: cargo install --locked cargo-{name}"))
}

/// The first line that the command prints, if it ends well.
pub(crate) fn first_line(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}
