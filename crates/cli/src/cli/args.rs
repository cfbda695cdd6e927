//! The command line.

use clap::{ColorChoice, Parser, Subcommand, ValueEnum};

use crate::commands::{
    attach::AttachArgs, bench::BenchArgs, call::CallArgs, completions::CompletionsArgs,
    conformance::ConformanceArgs, doctor::DoctorArgs, inspect::InspectArgs, man::ManArgs, new::NewArgs,
    run::RunArgs,
};

/// Looks into plugins that speak go-plugin's protocol, in whatever language they are written: what they are, what they
/// serve, and what is wrong with them.
#[derive(Debug, Parser)]
#[command(name = "rpcplugin", version, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Cli {
    /// Prints JSON, for programs to read.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colours: by default on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value = "auto")]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Shows what a plugin is, how it is reached and secured, and what it serves.
    Inspect(InspectArgs),
    /// Calls a method of a plugin with JSON, whatever kind of method it is.
    Call(CallArgs),
    /// Keeps a plugin up, and shows its log and its output.
    Run(RunArgs),
    /// Attaches to a plugin that runs already: shows it, calls it, or ends it.
    Attach(AttachArgs),
    /// Finds out why a plugin does not start, and says what to do.
    Doctor(DoctorArgs),
    /// Checks whether a plugin keeps to the protocol.
    Conformance(ConformanceArgs),
    /// Measures how fast a plugin starts and answers.
    Bench(BenchArgs),
    /// Makes a project with a plugin and its host.
    New(NewArgs),
    /// Prints what a shell needs to complete arguments.
    Completions(CompletionsArgs),
    /// Prints the manual page.
    Man(ManArgs),
}

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}
