//! The grammar of the command line.

use clap::{ColorChoice, Parser, Subcommand, ValueEnum};

use crate::commands::{
    attach::AttachArgs, bench::BenchArgs, bridge::BridgeArgs, call::CallArgs, completions::CompletionsArgs,
    conformance::ConformanceArgs, discover::DiscoverArgs, doctor::DoctorArgs, inspect::InspectArgs,
    man::ManArgs, new::NewArgs, replay::ReplayArgs, run::RunArgs, tap::TapArgs, trust::TrustArgs,
};

/// Inspects, calls, runs and tests plugins that speak go-plugin's protocol, in any language.
#[derive(Debug, Parser)]
#[command(name = "rpcplugin", version, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Cli {
    /// Prints JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to print colours. `auto` means on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value = "auto")]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// A command with its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Shows a plugin's process, protocol, security and services.
    Inspect(InspectArgs),
    /// Calls a method of a plugin with JSON.
    Call(CallArgs),
    /// Keeps a plugin running, and shows its log and output.
    Run(RunArgs),
    /// Attaches to a running plugin: shows it, calls it, or shuts it down.
    Attach(AttachArgs),
    /// Lists the plugins in a directory, with the metadata in their files.
    Discover(DiscoverArgs),
    /// Finds out why a plugin does not start.
    Doctor(DoctorArgs),
    /// Checks whether a plugin follows the protocol.
    Conformance(ConformanceArgs),
    /// Measures how fast a plugin starts, responds and exits.
    Bench(BenchArgs),
    /// Runs a plugin, and carries its connections over TCP: a plugin for hosts on other machines.
    Bridge(BridgeArgs),
    /// Stands between a host and its plugin, and shows what they say to each other.
    Tap(TapArgs),
    /// Makes the calls of a recording again, and shows where the answers differ.
    Replay(ReplayArgs),
    /// Records that a plugin is trusted and what it may do, in a lock file for `--locked`.
    Trust(TrustArgs),
    /// Creates a project with a plugin and its host.
    New(NewArgs),
    /// Prints the completion script of a shell.
    Completions(CompletionsArgs),
    /// Prints the manual page.
    Man(ManArgs),
}

/// When to print colours.
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
