//! `rpcplugin completions` and `rpcplugin man`.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use miette::{IntoDiagnostic as _, WrapErr as _};

use crate::{args::Cli, exit::Exit, out::Out};

/// Prints what a shell needs to complete this program's arguments.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Prints the manual page, or writes those of all commands.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Writes a page for each command into this directory.
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
}

/// Prints the completions.
pub(crate) fn completions(args: &CompletionsArgs, out: &mut Out) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rpcplugin", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end());
    Exit::Ok
}

/// Prints the page, or writes all.
pub(crate) fn man(args: &ManArgs, out: &mut Out) -> miette::Result<Exit> {
    match &args.dir {
        Some(dir) => {
            let cannot = || format!("cannot write into {}", dir.display());
            std::fs::create_dir_all(dir).into_diagnostic().wrap_err_with(cannot)?;
            clap_mangen::generate_to(Cli::command(), dir).into_diagnostic().wrap_err_with(cannot)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).into_diagnostic()?;
            out.line(String::from_utf8_lossy(&page).trim_end());
        }
    }
    Ok(Exit::Ok)
}
