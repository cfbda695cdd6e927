//! The command line.

use std::{ffi::OsString, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};

/// Takes one measurement and prints it as one line of JSON.
#[derive(Debug, Parser)]
#[command(name = "kit-bench")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// Launch a plugin and measure.
    Host(Options),
    /// Serve Echo, Count and Sum of the kit, by this library.
    Plugin,
    /// Start a server that is no plugin and measure.
    #[cfg(feature = "raw-tonic")]
    RawHost(Options),
    /// Serve Echo, Count and Sum of the kit, by tonic alone.
    #[cfg(feature = "raw-tonic")]
    RawPlugin,
    /// Run a program on some cores only.
    Pin {
        /// The cores: 0, or 0,1.
        #[arg(value_delimiter = ',', required = true)]
        cpus: Vec<usize>,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// What is measured, and how much of it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// What to measure.
    pub(crate) figure: Figure,
    /// Secure the connection with AutoMTLS.
    #[arg(long)]
    pub(crate) auto_mtls: bool,
    /// Put brokered connections on the main one.
    #[arg(long)]
    pub(crate) mux: bool,
    /// Let plugins outlive a host that is killed: no guard is started beside each.
    #[arg(long)]
    pub(crate) unguarded: bool,
    /// Worker threads of the host.
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
    /// How long calls and streams are measured, or a plugin is left idle.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "2")]
    pub(crate) seconds: Duration,
    /// Calls at once.
    #[arg(long, default_value_t = 1)]
    pub(crate) in_flight: usize,
    /// Bytes of each call, message or write.
    #[arg(long, default_value_t = 64)]
    pub(crate) payload: usize,
    /// How often a launch or a brokered connection is repeated; how many writes are made.
    #[arg(long, default_value_t = 21)]
    pub(crate) rounds: usize,
    /// Plugins of a crowd.
    #[arg(long, default_value_t = 50)]
    pub(crate) plugins: usize,
    /// Plugins of a crowd that are launched at once.
    #[arg(long, default_value_t = 8)]
    pub(crate) at_once: usize,
    /// The plugin and its arguments.
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// From the launch to a plugin that has said that it is well, and the stop.
    Launch,
    /// Echo.
    Unary,
    /// A stream from the plugin.
    Down,
    /// A stream to the plugin.
    Up,
    /// From dialling a brokered service to its first answer.
    Broker,
    /// What the plugin prints.
    Stdio,
    /// What the plugin logs.
    Logs,
    /// What a plugin costs that does nothing.
    Idle,
    /// Many plugins.
    Crowd,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is needed".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
