//! The command line.

use std::{ffi::OsString, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};

/// Makes one measurement and prints it as one line of JSON.
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
    /// Serve Echo, Count and Sum of the kit with this library.
    Plugin,
    /// Start a server that is not a plugin and measure.
    #[cfg(all(feature = "raw-tonic", unix))]
    RawHost(Options),
    /// Serve Echo, Count and Sum of the kit with tonic alone.
    #[cfg(all(feature = "raw-tonic", unix))]
    RawPlugin,
    /// Run a program on these cores only.
    Pin {
        /// The cores: 0, or 0,1.
        #[arg(value_delimiter = ',', required = true)]
        cpus: Vec<usize>,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// The measurement and its size.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The measurement.
    pub(crate) figure: Figure,
    /// Secure the connection with AutoMTLS.
    #[arg(long)]
    pub(crate) auto_mtls: bool,
    /// Use HTTP/2 in place of the lane.
    #[arg(long)]
    pub(crate) http2: bool,
    /// Offer a connection that the plugin inherits.
    #[arg(long)]
    pub(crate) inherit: bool,
    /// Multiplex brokered connections.
    #[arg(long)]
    pub(crate) mux: bool,
    /// Let plugins outlive a killed host: start no watchdogs.
    #[arg(long)]
    pub(crate) unguarded: bool,
    /// Confine the plugin: no files but its own, no network, and limits of memory and open files.
    #[arg(long)]
    pub(crate) sandbox: bool,
    /// Worker threads of the host.
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
    /// The duration of calls, streams, or the idle time of a plugin.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "2")]
    pub(crate) seconds: Duration,
    /// Make exactly so many calls, or read so many messages of a stream from the plugin, whatever the time.
    #[arg(long, value_name = "N")]
    pub(crate) exactly: Option<usize>,
    /// Concurrent calls.
    #[arg(long, default_value_t = 1)]
    pub(crate) in_flight: usize,
    /// Bytes in each call, message or write.
    #[arg(long, default_value_t = 64)]
    pub(crate) payload: usize,
    /// The number of launches, brokered connections or writes.
    #[arg(long, default_value_t = 21)]
    pub(crate) rounds: usize,
    /// The number of plugins of `crowd`.
    #[arg(long, default_value_t = 50)]
    pub(crate) plugins: usize,
    /// The number of plugins of `crowd` that are launched at the same time.
    #[arg(long, default_value_t = 8)]
    pub(crate) at_once: usize,
    /// The plugin and its arguments.
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// The launch of a plugin until it is healthy, and its shutdown.
    Launch,
    /// Echo.
    Unary,
    /// A stream from the plugin.
    Down,
    /// A stream to the plugin.
    Up,
    /// A dial of a brokered service until its first answer.
    Broker,
    /// The output of the plugin.
    Stdio,
    /// The log of the plugin.
    Logs,
    /// Calls while the plugin floods its log.
    Flood,
    /// The cost of an idle plugin.
    Idle,
    /// Many plugins.
    Crowd,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
