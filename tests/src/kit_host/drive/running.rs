//! A running plugin, supervised or not.

use std::time::Duration;

use rpcplugin::{
    Exit, Plugin, PluginChannel,
    broker::Broker,
    host::{Generation, Pid, Supervised, SupervisionState},
};
use serde_json::{Value, json};
use tonic_health::pb::health_client::HealthClient;

use crate::{kit_host::drive::answer::Failure, pb::kit_client::KitClient};

/// A plugin after its launch.
#[derive(Debug)]
pub(crate) enum Running {
    /// One process.
    Once(Box<Plugin>),
    /// A process that is restarted when it exits.
    Supervised(Supervised),
}

impl Running {
    /// The fields of the answer to a launch.
    pub(crate) fn describe(&self) -> Result<Value, Failure> {
        let (pid, version, endpoint, security, launch_time) = match self {
            Self::Once(plugin) => (
                plugin.pid(),
                plugin.version(),
                plugin.endpoint().clone(),
                plugin.security().clone(),
                plugin.launch_time(),
            ),
            Self::Supervised(supervised) => {
                let plugin = generation(supervised)?;
                (
                    plugin.plugin().pid,
                    plugin.version(),
                    plugin.endpoint().clone(),
                    plugin.security().clone(),
                    plugin.launch_time(),
                )
            }
        };
        Ok(json!({
            "pid": pid.map(Pid::get),
            "version": version.0,
            "network": endpoint.network(),
            "address": endpoint.address(),
            "security": if security.is_mutual() { "mutual" } else { "plain" },
            "elapsed_us": u64::try_from(launch_time.as_micros()).unwrap_or(u64::MAX),
        }))
    }

    /// A client without a limit of message sizes.
    pub(crate) fn kit(&self) -> KitClient<PluginChannel> {
        KitClient::new(self.channel()).max_decoding_message_size(usize::MAX)
    }

    pub(crate) fn health(&self) -> HealthClient<PluginChannel> {
        HealthClient::new(self.channel())
    }

    fn channel(&self) -> PluginChannel {
        match self {
            Self::Once(plugin) => plugin.channel(),
            Self::Supervised(supervised) => supervised.channel(),
        }
    }

    /// The broker of the current process.
    pub(crate) fn broker(&self) -> Result<Broker, Failure> {
        match self {
            Self::Once(plugin) => Ok(plugin.broker().clone()),
            Self::Supervised(supervised) => Ok(generation(supervised)?.broker().clone()),
        }
    }

    /// The current process.
    pub(crate) fn pid(&self) -> Result<Pid, Failure> {
        let pid = match self {
            Self::Once(plugin) => plugin.pid().filter(|_| plugin.ended().is_none()),
            Self::Supervised(supervised) => generation(supervised)?.plugin().pid,
        };
        pid.ok_or_else(|| Failure::state("the plugin has no process, or the process has exited"))
    }

    /// Whether there is a process, or will be after a restart.
    pub(crate) fn is_alive(&self) -> bool {
        match self {
            Self::Once(plugin) => plugin.ended().is_none(),
            Self::Supervised(supervised) => !matches!(supervised.state(), SupervisionState::GaveUp { .. }),
        }
    }

    /// Shuts the plugin down. `None` if it has no process.
    pub(crate) async fn stop(self) -> Option<Exit> {
        match self {
            Self::Once(plugin) => Some(plugin.shut_down().await),
            Self::Supervised(supervised) => supervised.shut_down().await,
        }
    }

    /// Shuts the plugin down with this grace. `None` if it has no process.
    pub(crate) async fn stop_within(self, grace: Duration) -> Option<Exit> {
        match self {
            Self::Once(plugin) => Some(plugin.shut_down_within(grace).await),
            Self::Supervised(supervised) => supervised.shut_down_within(grace).await,
        }
    }
}

fn generation(supervised: &Supervised) -> Result<Generation, Failure> {
    supervised.generation().ok_or_else(|| Failure::state("the plugin is down"))
}
