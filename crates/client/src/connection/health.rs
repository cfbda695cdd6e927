//! The health call.

use std::time::Duration;

use rpcplugin_transport::http2::PluginChannel;
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_check_response::ServingStatus as Wire, health_client::HealthClient},
};

use crate::error::ConnectFault;

/// Asks the plugin for its health.
///
/// # Protocol
/// go-plugin's `Ping` asks for the service `plugin`.
pub(crate) async fn health(channel: PluginChannel) -> Result<ServingStatus, Status> {
    health_of(channel, "plugin").await
}

/// Asks for the health of the plugin, or of the whole server where the server has no status of the name `plugin`. `None`
/// if it has no health service, or does not answer.
///
/// # Protocol
/// gRPC's health checking: the empty name stands for the whole server. Servers that are not made with a library for plugins
/// have this name only.
pub(crate) async fn health_of_any_server(channel: PluginChannel, limit: Duration) -> Option<ServingStatus> {
    let asked = async {
        match health(channel.clone()).await {
            Err(status) if status.code() == Code::NotFound => health_of(channel, "").await,
            answered => answered,
        }
    };
    timeout(limit, asked).await.ok()?.ok()
}

async fn health_of(channel: PluginChannel, service: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let response = HealthClient::new(channel).check(request).await?;
    Ok(match response.get_ref().status() {
        Wire::Serving => ServingStatus::Serving,
        Wire::NotServing => ServingStatus::NotServing,
        _ => ServingStatus::Unknown,
    })
}

/// Makes sure that the plugin answers, and that it reports to be healthy.
///
/// # Protocol
/// Differs from go-plugin's `Ping`: the status in the response counts. A plugin that does not serve health, or not
/// for the name `plugin`, has answered all the same.
pub(super) async fn check_health(channel: &PluginChannel) -> Result<(), ConnectFault> {
    match health(channel.clone()).await {
        Ok(ServingStatus::Serving) => Ok(()),
        Ok(status) => Err(ConnectFault::NotHealthy(status)),
        Err(status) if matches!(status.code(), Code::Unimplemented | Code::NotFound) => Ok(()),
        Err(status) => Err(ConnectFault::HealthCheckFailed(status)),
    }
}
