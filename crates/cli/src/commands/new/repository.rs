//! The git repository of a new project.

use std::{io, path::Path, process::Stdio, time::Duration};

use clap::ValueEnum;
use miette::{IntoDiagnostic as _, miette};
use tokio::{process::Command, time::timeout};

use crate::error::CommandError;

/// Version control for a new project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Vcs {
    /// A git repository, unless the directory is in one already.
    Git,
    /// None.
    None,
}

/// Begins a repository, unless the directory is in one already. Returns whether it has begun one. The directory exists.
///
/// # Errors
/// git cannot be run, or fails.
pub(super) async fn begin(dir: &Path) -> Result<bool, CommandError> {
    let full = dir.canonicalize().into_diagnostic()?;
    if full.ancestors().any(|dir| dir.join(".git").exists()) {
        return Ok(false);
    }
    let mut git = Command::new("git");
    git.args(["init", "--quiet", "--"]).arg(dir).kill_on_drop(true);
    // These would lead git to another repository.
    git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").stdin(Stdio::null());
    let output = timeout(LONGEST, git.output()).await.unwrap_or_else(|late| Err(io::Error::from(late)));
    let fault = match output {
        Ok(output) if output.status.success() => return Ok(true),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let help = "install git and run `git init` in the project, or pass `--vcs none`";
    Err(miette!(help = help, "the project is created, but `git init` has failed: {fault}").into())
}

/// How long git may take.
const LONGEST: Duration = Duration::from_secs(20);
