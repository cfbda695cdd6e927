//! The command line: its grammar, its help, and notes on likely mistakes.

mod args;
mod empty_variables;
mod help;
mod stray_flags;

pub(crate) use self::{
    args::{Action, Cli, Color},
    empty_variables::without_empty_variables,
    help::command,
    stray_flags::stray_flags,
};
