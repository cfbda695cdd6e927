//! `rpcplugin completions`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::man::only_text;
use crate::{error::CommandError, exit::Exit, ui::Out};

/// Prints the completion script of a shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Prints the completion script.
pub(crate) fn run(args: &CompletionsArgs, mut command: Command, out: &mut Out) -> Result<Exit, CommandError> {
    only_text("completions", out)?;
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "rpcplugin", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Ok)
}
