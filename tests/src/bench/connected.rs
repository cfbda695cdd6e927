//! The process that a measurement calls.

use std::path::Path;

use rpcplugin::{
    Command, Host, Plugin, PluginChannel,
    config::HostTls,
    host::Observer,
    sandbox::{Limits, Sandbox},
};
use tonic::{
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};

use crate::{
    bench::{Measured, args::Options},
    contract,
    os::usage::{cpu_of, own_cpu},
    pb::kit_client::KitClient,
};

/// A channel for generated clients, from this library or from tonic alone.
pub(crate) trait Channel:
    GrpcService<
        Body,
        Error: Into<StdError>,
        ResponseBody: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl Channel for PluginChannel {}

#[cfg(all(feature = "raw-tonic", unix))]
impl Channel for tonic::transport::Channel {}

/// A process that serves the kit, and a channel to it.
#[derive(Debug, Clone)]
pub(crate) struct Connected<C> {
    pub(crate) channel: C,
    pub(crate) pid: u32,
}

/// The CPU time of both processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    /// Host and plugin, in µs.
    pub(crate) both: f64,
    /// The host alone, in µs.
    pub(crate) host: f64,
}

impl Connected<PluginChannel> {
    pub(crate) fn to(plugin: &Plugin) -> Self {
        Self { channel: plugin.channel(), pid: process(plugin) }
    }
}

impl<C: Channel> Connected<C> {
    pub(crate) fn kit(&self) -> KitClient<C> {
        KitClient::new(self.channel.clone())
    }

    /// The CPU time of both processes so far.
    pub(crate) fn spent(&self) -> Spent {
        let host = own_cpu().as_secs_f64() * 1e6;
        Spent { both: host + cpu_of(self.pid).as_secs_f64() * 1e6, host }
    }

    /// The CPU time since then.
    pub(crate) fn spent_since(&self, before: Spent) -> Spent {
        let now = self.spent();
        Spent { both: now.both - before.both, host: now.host - before.host }
    }
}

/// The host that the options describe.
pub(crate) fn host(options: &Options) -> Host {
    Host::new(contract::cookie(), 3).configure(|config| {
        config.tls = if options.auto_mtls { HostTls::AUTO } else { HostTls::Plaintext };
        config.multiplex = options.mux;
        config.inherit_connection = options.inherit;
        config.lane = !options.http2;
        config.die_with_host = !options.unguarded;
    })
}

/// Launches the plugin.
pub(crate) async fn launch(options: &Options) -> Measured<Plugin> {
    launch_by(&host(options), options).await
}

/// Launches the plugin with an observer.
pub(crate) async fn launch_followed(options: &Options, observer: impl Observer) -> Measured<Plugin> {
    launch_by(&host(options).observe(observer), options).await
}

pub(crate) async fn launch_by(host: &Host, options: &Options) -> Measured<Plugin> {
    let (program, args) = options.command.split_first().ok_or("no plugin is named")?;
    let command = Command::new(program).args(args).stdin(rpcplugin::host::Stdin::Null);
    let command = if options.sandbox { command.sandbox(sandbox(args)) } else { command };
    Ok(host.launch(command).await?)
}

/// The sandbox of a confined plugin. A program that pins the plugin to cores executes it.
fn sandbox(args: &[String]) -> Sandbox {
    let programs = args.iter().filter(|arg| Path::new(arg).is_absolute());
    programs.fold(Sandbox::new(), Sandbox::execute).limits(Limits::new().memory(1 << 30).open_files(1024))
}

/// The process of a launched plugin.
pub(crate) fn process(plugin: &Plugin) -> u32 {
    plugin.pid().expect("a launched plugin has a process").get()
}
