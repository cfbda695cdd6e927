//! The flags, and their settings.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use rpcplugin::{
    config::{ByteSize, LogLevel, PluginConfig, PluginTls, RateLimitConfig, TransportKind},
    hclog::Level,
};

use crate::{contract::TlsFiles, os::files};

/// Serves the conformance kit to the host that starts it.
#[derive(Debug, Parser)]
#[command(name = "kit-plugin")]
pub(crate) struct Args {
    /// The versions to serve.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    pub(crate) versions: Vec<u32>,
    /// The transport to listen on.
    #[arg(long, value_enum, default_value = files::DEFAULT_TRANSPORT)]
    net: Net,
    /// The certificates to use instead of AutoMTLS: DIR/ca.pem, DIR/plugin.pem, DIR/plugin.key.
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    /// The largest request [default: unlimited].
    #[arg(long, value_name = "BYTES")]
    max_recv: Option<u64>,
    /// The level of the plugin's log: trace, debug, info, warn or error.
    #[arg(long, value_parser = level, default_value = "trace")]
    pub(crate) log_level: Level,
    /// The average number of calls of Kit in a second.
    #[arg(long, value_name = "PER_SECOND", requires = "burst")]
    rate: Option<f64>,
    /// The number of calls of Kit in a burst.
    #[arg(long, value_name = "N", requires = "rate")]
    burst: Option<u32>,
    /// Shut down when this file appears.
    #[arg(long, value_name = "PATH")]
    shutdown_file: Option<PathBuf>,
    /// Serve without cookie and handshake line; print the reattach JSON on stdout.
    #[arg(long)]
    pub(crate) test_mode: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Net {
    Unix,
    Tcp,
}

impl Args {
    /// The settings of the plugin.
    pub(crate) fn config(&self) -> PluginConfig {
        let mut config = PluginConfig::default();
        config.transports = vec![match self.net {
            Net::Unix => TransportKind::Unix,
            Net::Tcp => TransportKind::Tcp,
        }];
        if let Some(dir) = &self.tls_dir {
            let given = TlsFiles::of("plugin", dir);
            config.tls = PluginTls::Given {
                certificate: given.certificate,
                private_key: given.private_key,
                client_roots: given.roots,
            };
        }
        config.log_level = match self.log_level {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        if let (Some(requests_per_second), Some(burst_capacity)) = (self.rate, self.burst) {
            let mut limit = RateLimitConfig::default();
            limit.requests_per_second = requests_per_second;
            limit.burst_capacity = burst_capacity;
            config.rate_limit = Some(limit);
        }
        config.max_receive_message_size = self.max_recv.map(ByteSize::bytes);
        config.shutdown_file = self.shutdown_file.clone();
        config
    }
}

fn level(name: &str) -> Result<Level, String> {
    Level::parse(name).ok_or_else(|| "not one of trace, debug, info, warn and error".to_owned())
}
