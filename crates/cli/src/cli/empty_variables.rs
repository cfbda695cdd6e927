//! What the environment adds to the command line.

use clap::{Arg, Command};

/// The command, of which no argument takes its value from a variable that is empty: an empty variable counts as not set, as among
/// the settings of a plugin and a host.
pub(crate) fn without_empty_variables(command: Command) -> Command {
    command.mut_args(unless_empty).mut_subcommands(without_empty_variables)
}

fn unless_empty(arg: Arg) -> Arg {
    #[expect(
        clippy::disallowed_methods,
        reason = "clap reads these variables by itself, and takes them as they are"
    )]
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(None::<&'static str>) } else { arg }
}
