//! A plugin that runs and is connected.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use rpcplugin_broker::Broker;
use rpcplugin_config::HostConfig;
use rpcplugin_core::{AppVersion, Endpoint};
use rpcplugin_proto::{Empty, GrpcControllerClient};
use rpcplugin_transport::{Security, SocketDir, remove_stale_socket};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_check_response::ServingStatus as Wire, health_client::HealthClient},
};

use crate::{
    error::PingError,
    exit::{Exit, ExitReason},
    process::Process,
};

/// A plugin that runs and is connected.
///
/// Dropping it kills the plugin; [`shut_down`](Self::shut_down) ends it politely. Channels that were taken from it
/// fail from then on.
pub struct Plugin {
    process: Process,
    channel: Channel,
    broker: Broker,
    name: String,
    version: AppVersion,
    endpoint: Endpoint,
    security: Security,
    launch_time: Duration,
    config: HostConfig,
    /// The readers of stdout and stderr. They end with the pipes.
    output: Vec<AbortOnDropHandle<io::Result<()>>>,
    /// The long calls of the connection.
    services: Vec<AbortOnDropHandle<()>>,
    /// Removed with everything in it when the plugin is gone.
    _sockets: SocketDir,
}

/// What a plugin is made of.
pub(crate) struct Parts {
    pub(crate) process: Process,
    pub(crate) channel: Channel,
    pub(crate) broker: Broker,
    pub(crate) name: String,
    pub(crate) version: AppVersion,
    pub(crate) endpoint: Endpoint,
    pub(crate) security: Security,
    pub(crate) launch_time: Duration,
    pub(crate) config: HostConfig,
    pub(crate) output: Vec<AbortOnDropHandle<io::Result<()>>>,
    pub(crate) services: Vec<AbortOnDropHandle<()>>,
    pub(crate) sockets: SocketDir,
}

impl Plugin {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            process,
            channel,
            broker,
            name,
            version,
            endpoint,
            security,
            launch_time,
            config,
            output,
            services,
            sockets,
        } = parts;
        Self {
            process,
            channel,
            broker,
            name,
            version,
            endpoint,
            security,
            launch_time,
            config,
            output,
            services,
            _sockets: sockets,
        }
    }

    /// The channel for generated clients: `KvClient::new(plugin.channel())`. Cheap to clone.
    ///
    /// A generated client refuses answers above 4 MiB unless it is told otherwise
    /// (`max_decoding_message_size`).
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Side connections with the plugin.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The version of the application's protocol that was agreed upon.
    #[must_use]
    pub fn version(&self) -> AppVersion {
        self.version
    }

    /// The plugin's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The name by which logs call the plugin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the plugin listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How the connection is secured.
    #[must_use]
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// How long it took from the start of the launch until the plugin was ready.
    #[must_use]
    pub fn launch_time(&self) -> Duration {
        self.launch_time
    }

    /// How the plugin ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<ExitReason> {
        self.process.ended()
    }

    /// Resolves when the plugin's process has ended.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn wait(&self) -> ExitReason {
        self.process.end().await
    }

    /// Asks the plugin for its health, within [`HostConfig::admin_deadline`].
    ///
    /// # Errors
    /// [`PingError`] when no answer came.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn ping(&self) -> Result<ServingStatus, PingError> {
        let request = HealthCheckRequest { service: "plugin".to_owned() };
        let mut client = HealthClient::new(self.channel.clone());
        let deadline = self.config.admin_deadline;
        let answer = match timeout(deadline, client.check(request)).await {
            Ok(Ok(answer)) => answer.into_inner(),
            failed => {
                return Err(match (self.ended(), failed) {
                    (Some(reason), _) => PingError::Ended(reason),
                    (None, Ok(Err(status))) => PingError::Failed(status),
                    _ => PingError::Late(deadline),
                });
            }
        };
        Ok(match answer.status() {
            Wire::Serving => ServingStatus::Serving,
            Wire::NotServing => ServingStatus::NotServing,
            _ => ServingStatus::Unknown,
        })
    }

    /// Ends the plugin: asks it to shut down, waits for [`HostConfig::grace`], and kills it if it has not ended then.
    ///
    /// Returns how it ended. Never takes longer than the deadlines of the configuration together, whatever the plugin
    /// does or leaves behind.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn shut_down(self) -> Exit {
        let grace = self.config.grace;
        self.shut_down_within(grace).await
    }

    /// As [`shut_down`](Self::shut_down), but with this grace period.
    ///
    /// # Protocol
    /// go-plugin `client.go` `Kill`: the broker, then the call, whose outcome says nothing because a Go plugin cuts
    /// the connection in place of an answer, then the wait. Differs: every step has a deadline.
    pub async fn shut_down_within(mut self, grace: Duration) -> Exit {
        let begun = Instant::now();
        self.broker.close();
        let mut controller = GrpcControllerClient::new(self.channel.clone());
        let asking = timeout(self.config.shutdown_deadline.min(grace), controller.shutdown(Empty {}));
        let ended_by_itself = async {
            tokio::select! {
                _ = asking => {}
                reason = self.process.end() => return reason,
            }
            self.process.end().await
        };
        let exit = match timeout(grace, self.end_in_stages(ended_by_itself)).await {
            Ok(reason) if reason.is_success() => Exit::Clean,
            Ok(reason) => Exit::Failed(reason),
            Err(_) => {
                tracing::warn!(
                    plugin = self.name,
                    plugin.pid = self.pid(),
                    "the plugin ignored the shutdown; killing it"
                );
                self.process.kill();
                self.process.end().await;
                Exit::Killed { after: begun.elapsed() }
            }
        };
        // Logs that are still in the pipes are worth a moment; a process that the plugin left behind may hold them
        // open for ever.
        let readers = std::mem::take(&mut self.output);
        let _ = timeout(self.config.drain, async {
            for reader in readers {
                let _ = reader.await;
            }
        })
        .await;
        tracing::info!(plugin = self.name, plugin.pid = self.pid(), %exit, "plugin stopped");
        exit
    }

    /// Kills the plugin at once.
    ///
    /// # Cancel safety
    /// The plugin is killed even if the future is dropped.
    pub async fn kill(self) -> ExitReason {
        self.process.kill();
        self.process.end().await
    }

    /// Waits for the end, with SIGTERM on the way if that is configured.
    async fn end_in_stages(&self, ended: impl Future<Output = ExitReason>) -> ExitReason {
        let Some(patience) = self.config.terminate_after else { return ended.await };
        let mut ended = std::pin::pin!(ended);
        match timeout(patience, ended.as_mut()).await {
            Ok(reason) => reason,
            Err(_) => {
                self.process.terminate();
                ended.await
            }
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.broker.close();
        self.process.kill();
        // A plugin that was killed leaves its socket behind, unless it is in our own directory.
        if let Endpoint::Unix(path) = &self.endpoint {
            remove_stale_socket(path);
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name)
            .field("pid", &self.pid())
            .field("version", &self.version)
            .field("endpoint", &self.endpoint)
            .field("services", &self.services.len())
            .finish_non_exhaustive()
    }
}
