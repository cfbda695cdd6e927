//! Environment variables that are set and empty.

use clap::{Arg, Command};

/// Returns the command without the environment variables that are empty. An empty variable counts as not set, as for the settings of
/// hosts and plugins.
pub(crate) fn without_empty_variables(command: Command) -> Command {
    command.mut_args(unless_empty).mut_subcommands(without_empty_variables)
}

fn unless_empty(arg: Arg) -> Arg {
    #[expect(
        clippy::disallowed_methods,
        reason = "clap reads these variables itself, and accepts empty ones"
    )]
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(None::<&'static str>) } else { arg }
}
