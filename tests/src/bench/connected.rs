//! The other side of a measurement.

use rpcplugin::{Command, Host, Observer, Plugin, PluginChannel};

use crate::{
    bench::{
        Measured,
        args::Options,
        usage::{cpu_of, own_cpu},
    },
    facts,
    pb::kit_client::KitClient,
};

/// A process that serves the kit, and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    pub(crate) channel: PluginChannel,
    pub(crate) pid: u32,
}

/// What both processes have spent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    /// Host and plugin, in µs.
    pub(crate) both: f64,
    /// The host alone, in µs.
    pub(crate) host: f64,
}

impl Connected {
    pub(crate) fn to(plugin: &Plugin) -> Self {
        Self { channel: plugin.channel(), pid: plugin.pid() }
    }

    pub(crate) fn kit(&self) -> KitClient<PluginChannel> {
        KitClient::new(self.channel.clone())
    }

    /// What both processes have spent so far.
    pub(crate) fn spent(&self) -> Spent {
        let host = own_cpu().as_secs_f64() * 1e6;
        Spent { both: host + cpu_of(self.pid).as_secs_f64() * 1e6, host }
    }

    /// What they have spent since then.
    pub(crate) fn spent_since(&self, before: Spent) -> Spent {
        let now = self.spent();
        Spent { both: now.both - before.both, host: now.host - before.host }
    }
}

/// The host that the options describe.
pub(crate) fn host(options: &Options) -> Host {
    Host::new(facts::cookie(), 3).configure(|config| {
        config.auto_mtls = options.auto_mtls;
        config.multiplex = options.mux;
        config.die_with_host = !options.unguarded;
    })
}

/// Launches the plugin.
pub(crate) async fn launch(options: &Options) -> Measured<Plugin> {
    launch_by(&host(options), options).await
}

/// Launches the plugin with somebody who follows it.
pub(crate) async fn launch_followed(options: &Options, observer: impl Observer) -> Measured<Plugin> {
    launch_by(&host(options).observe(observer), options).await
}

pub(crate) async fn launch_by(host: &Host, options: &Options) -> Measured<Plugin> {
    let (program, args) = options.command.split_first().ok_or("no plugin is named")?;
    Ok(host.launch(Command::new(program).args(args).stdin(rpcplugin::Stdin::Null)).await?)
}
