//! Asking a plugin for its health.

use std::time::Duration;

use rpcplugin_transport::http2::is_broken_connection;
use tokio::time::timeout;
use tonic_health::ServingStatus;

use super::{Plugin, call_status::EXIT_WAIT};
use crate::{connection::health::health, error::PingError};

impl Plugin {
    /// Asks the plugin for its health, within [`HostConfig::admin_timeout`](rpcplugin_config::HostConfig::admin_timeout).
    ///
    /// # Errors
    /// As [`ping_within`](Self::ping_within).
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn ping(&self) -> Result<ServingStatus, PingError> {
        self.ping_within(self.config.admin_timeout).await
    }

    /// Asks the plugin for its health, within this time.
    ///
    /// # Errors
    /// [`PingError::Ended`] when the process has exited, [`PingError::Timeout`] when no response came in time,
    /// [`PingError::Failed`] when the response is an error, such as that of a plugin without a health service.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn ping_within(&self, limit: Duration) -> Result<ServingStatus, PingError> {
        let status = match timeout(limit, health(self.session.channel.clone())).await {
            Ok(Ok(health)) => return Ok(health),
            Ok(Err(status)) => Some(status),
            Err(_) => None,
        };
        let broken = status.as_ref().is_some_and(is_broken_connection);
        let exit_wait = if broken { EXIT_WAIT } else { Duration::ZERO };
        Err(match (timeout(exit_wait, self.process.exited()).await, status) {
            (Ok(reason), _) => PingError::Ended(reason),
            (Err(_), Some(status)) => PingError::Failed(status),
            (Err(_), None) => PingError::Timeout(limit),
        })
    }
}
