//! A host and a plugin that differ from the defaults in what a test says.

use std::{
    fs,
    time::{Duration, Instant},
};

use rpcplugin::{
    Command, Host, LaunchError, MagicCookie, Plugin, PluginChannel, Versions, config::HostConfig, host::Stdin,
};
use rpcplugin_tests::pb::kit_client::KitClient;
use tonic::{Code, Status};

/// As long as anything here may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The host of the conformance kit.
pub(crate) fn host() -> Host {
    let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").unwrap();
    Host::new(cookie, Versions::new([1, 2, 3]).unwrap())
}

/// The conformance plugin, set up by these variables.
pub(crate) fn plugin(variables: &[(&str, &str)]) -> Command {
    let command = Command::new(env!("CARGO_BIN_EXE_settings-plugin")).stdin(Stdin::Null);
    variables.iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// Launches a plugin with these variables from a host with these settings.
pub(crate) async fn try_launch(
    variables: &[(&str, &str)],
    change: impl FnOnce(&mut HostConfig),
) -> Result<Plugin, LaunchError> {
    host().configure(change).launch(plugin(variables)).await
}

/// As [`try_launch`], where nothing may go wrong.
pub(crate) async fn launch(variables: &[(&str, &str)], change: impl FnOnce(&mut HostConfig)) -> Plugin {
    try_launch(variables, change).await.unwrap()
}

pub(crate) fn client(plugin: &Plugin) -> KitClient<PluginChannel> {
    KitClient::new(plugin.channel())
}

/// How a call ended.
#[track_caller]
pub(crate) fn code<T>(result: Result<T, Status>) -> Code {
    result.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether the process runs, and is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
