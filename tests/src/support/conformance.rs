//! The conformance plugin and its host.

use rpcplugin::{
    Command, Host, LaunchError, Plugin, PluginChannel, Versions, config::HostConfig, host::Stdin,
};
use tonic::{Code, Status};

use super::programs::program;
use crate::{
    contract::{VERSIONS, cookie},
    pb::kit_client::KitClient,
};

/// The host of the conformance plugins.
#[must_use]
pub fn host() -> Host {
    Host::new(cookie(), Versions::new(VERSIONS).unwrap())
}

/// The conformance plugin that takes its settings from these variables.
#[must_use]
pub fn plugin(variables: &[(&str, &str)]) -> Command {
    let command = Command::new(program("settings-plugin")).stdin(Stdin::Null);
    variables.iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// The conformance plugin that takes its settings from arguments.
#[must_use]
pub fn kit() -> Command {
    Command::new(program("kit-plugin")).stdin(Stdin::Null)
}

/// Launches a plugin with these variables from a host with these settings.
///
/// # Errors
/// As [`Host::launch`].
pub async fn try_launch(
    variables: &[(&str, &str)],
    change: impl FnOnce(&mut HostConfig),
) -> Result<Plugin, LaunchError> {
    host().configure(change).launch(plugin(variables)).await
}

/// Launches a plugin with these variables from a host with these settings.
pub async fn launch(variables: &[(&str, &str)], change: impl FnOnce(&mut HostConfig)) -> Plugin {
    try_launch(variables, change).await.unwrap()
}

/// A client of the plugin's main service.
#[must_use]
pub fn client(plugin: &Plugin) -> KitClient<PluginChannel> {
    KitClient::new(plugin.channel())
}

/// The status code of a call.
#[track_caller]
pub fn code<T>(result: Result<T, Status>) -> Code {
    result.map_or_else(|status| status.code(), |_| Code::Ok)
}
