//! Hosts that take their settings from variables.

use miette::Diagnostic as _;
use rpcplugin::{
    Host, LaunchError, Plugin, Services,
    config::{HostConfig, HostTls, Loader},
};
use rpcplugin_tests::{
    pb::EnvRequest,
    support::conformance::{client, host, plugin},
};
use tonic_health::{ServingStatus, server::health_reporter};

use crate::servers::{Server, StubbornController};

/// A host with these variables in its environment.
pub(crate) fn with(variables: &[(&str, &str)]) -> Host {
    host().config(config(variables))
}

pub(crate) fn config(variables: &[(&str, &str)]) -> HostConfig {
    Loader::new().env(variables.iter().copied()).host().unwrap()
}

/// As [`with`], for scripts, which do not speak TLS.
pub(crate) fn plain(variables: &[(&str, &str)]) -> Host {
    with(variables).configure(|config| config.tls = HostTls::Plaintext)
}

/// Launches the conformance plugin.
pub(crate) async fn launch(variables: &[(&str, &str)]) -> Plugin {
    with(variables).launch(plugin(&[])).await.unwrap()
}

#[track_caller]
pub(crate) fn fault_code(launched: Result<Plugin, LaunchError>) -> String {
    launched.unwrap_err().fault.code().unwrap().to_string()
}

/// A variable in the environment of the plugin.
pub(crate) async fn env(plugin: &Plugin, name: &str) -> Option<String> {
    let answer = client(plugin).env(EnvRequest { name: name.to_owned() }).await.unwrap().into_inner();
    answer.present.then_some(answer.value)
}

/// A healthy server that never answers `Shutdown`.
pub(crate) async fn healthy_server() -> Server {
    let (reporter, health) = health_reporter();
    reporter.set_service_status("plugin", ServingStatus::Serving).await;
    Server::new(Services::new().add(health).add(StubbornController::default()))
}
