//! The process in a container, as the host sees it.

use std::{sync::Arc, time::Duration};

use bollard::query_parameters::{KillContainerOptionsBuilder, RenameContainerOptionsBuilder};
use rpcplugin_client::{ExitReason, PluginProcess};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    engine::{Connection, Failure},
    error::DockerError,
    keeper::{Command, Keeper},
    orphans,
};

/// The plugin in a container that a [`Container`](crate::Container) has started. Dropping it kills and removes the container.
#[derive(Debug)]
pub struct ContainerProcess {
    connection: Arc<Connection>,
    name: String,
    commands: mpsc::UnboundedSender<Command>,
    exited: watch::Receiver<Option<ExitReason>>,
}

impl ContainerProcess {
    /// Starts the task that owns the container.
    pub(crate) fn kept_by(keeper: Keeper) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        let (report, exited) = watch::channel(None);
        let (connection, name) = (Arc::clone(&keeper.connection), keeper.name.clone());
        tokio::spawn(keeper.run(received, report));
        Self { connection, name, commands, exited }
    }

    async fn rename(&self, name: &str) -> Result<(), Failure> {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        self.connection
            .request("rename the container", self.connection.docker.rename_container(&self.name, options))
            .await
    }
}

impl PluginProcess for ContainerProcess {
    /// The name of the container.
    fn id(&self) -> String {
        self.name.clone()
    }

    async fn wait(&mut self) -> ExitReason {
        match self.exited.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(ExitReason::Unknown),
            // The keeper is gone: the runtime is shutting down.
            Err(_) => ExitReason::Unknown,
        }
    }

    async fn terminate(&mut self) {
        let options = KillContainerOptionsBuilder::default().signal("SIGTERM").build();
        let asked = self.connection.request(
            "signal the container",
            self.connection.docker.kill_container(&self.name, Some(options)),
        );
        match timeout(SIGNAL, asked).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                let error = DockerError::from(failure);
                tracing::debug!(%error, container = self.name, "the container could not be asked to end");
            }
            Err(_) => tracing::debug!(container = self.name, "the container engine does not answer"),
        }
    }

    async fn kill(&mut self) {
        let _ = self.commands.send(Command::Kill);
    }

    /// Lets the container run on, under another name. It stays when it ends: the next host that starts a container at the same
    /// engine removes it. If it cannot be renamed, it is killed.
    async fn leave(self) {
        if let Err(failure) = self.rename(&orphans::name_without_host(&self.name)).await {
            let error = DockerError::from(failure);
            tracing::warn!(%error, container = self.name, "the container cannot go on without this host");
            return;
        }
        let (left, is_left) = oneshot::channel();
        if self.commands.send(Command::Leave(left)).is_ok() {
            let _ = is_left.await;
        }
    }
}

/// How long the engine may take to send a signal.
const SIGNAL: Duration = Duration::from_secs(5);
