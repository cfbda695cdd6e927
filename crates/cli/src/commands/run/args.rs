//! The arguments of `run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rpcplugin::hclog::Level;

use crate::plugin_args::LaunchArgs;

/// Launches a plugin and shows its log and output, until Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The minimum level of the log records to show.
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "debug")]
    pub(super) level: LevelArg,
    /// The name of the plugin for hosts that attach to it. For Terraform it is the address of the provider.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Writes a new file for `rpcplugin attach`, with the key of this host. The file is removed at the end.
    #[arg(long, value_name = "FILE")]
    pub(super) handover: Option<PathBuf>,
    /// Prints at the end what the confined plugin was denied, as options that allow it. Uses `strace` if it is installed, and the
    /// plugin's words otherwise.
    #[arg(long, requires = "sandbox", conflicts_with_all = ["locked", "runner"])]
    pub(super) trace_access: bool,
    /// Shows the plugin in a view of the terminal: log, output, calls, memory and processor, with keys to filter, restart and stop. Without a
    /// terminal, and with --json, the output is that without --ui.
    #[cfg(feature = "ui")]
    #[arg(long, conflicts_with = "trace_access")]
    pub(super) ui: bool,
    #[command(flatten)]
    pub(super) launch: LaunchArgs,
}

/// A log level on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LevelArg {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Trace => Self::Trace,
            LevelArg::Debug => Self::Debug,
            LevelArg::Info => Self::Info,
            LevelArg::Warn => Self::Warn,
            LevelArg::Error => Self::Error,
        }
    }
}
