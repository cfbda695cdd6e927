//! The task that owns a container: it passes the streams on, finds out how the container ended, and removes it.

use std::{sync::Arc, time::Duration};

use bollard::container::AttachContainerResults;
use rpcplugin_client::{ExitReason, Signal};
use serde::Deserialize;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, timeout},
};

use crate::{
    attached::{PluginEnds, attach},
    engine::{Connection, Request},
    error::DockerError,
    exit::{self, State},
    os::OutOfMemoryCounter,
    removal::Removal,
};

/// The state of a container that runs.
pub(crate) struct Keeper {
    pub(crate) connection: Arc<Connection>,
    pub(crate) name: String,
    pub(crate) streams: PluginEnds,
    pub(crate) attached: AttachContainerResults,
    /// The limit of the memory, in bytes.
    pub(crate) memory: Option<u64>,
    pub(crate) removal: Removal,
}

/// A command to the keeper. The end of the channel is a [`Kill`](Command::Kill).
#[derive(Debug)]
pub(crate) enum Command {
    Kill,
    Leave(oneshot::Sender<()>),
}

impl Keeper {
    /// Keeps the container until it has ended and is removed, and reports how it ended. After a
    /// [`Leave`](Command::Leave) the container runs on.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        exited: watch::Sender<Option<ExitReason>>,
    ) {
        let ended = tokio::select! {
            reason = self.watch() => Some(reason),
            command = commands.recv() => match command {
                Some(Command::Leave(left)) => {
                    self.removal.keep();
                    let _ = left.send(());
                    return;
                }
                Some(Command::Kill) | None => None,
            },
        };
        let Self { mut streams, mut attached, removal, .. } = self;
        let reason = match ended {
            Some(reason) => {
                // Without an answer the removal goes on in the background.
                let _ = timeout(CLEAN_UP, removal.now()).await;
                reason
            }
            None => {
                // The last lines are on their way while the engine kills the container.
                let last = timeout(LAST_LINES, streams.pass_on(&mut attached));
                let (is_gone, _) = tokio::join!(removal.now(), last);
                if is_gone { ExitReason::Signal(Signal::KILL) } else { ExitReason::Unknown }
            }
        };
        drop(streams);
        exited.send_replace(Some(reason));
    }

    /// Passes the streams on until the container has ended.
    async fn watch(&mut self) -> ExitReason {
        let counter = async {
            match self.memory {
                Some(_) => counter(&self.connection, &self.name).await,
                None => None,
            }
        };
        let mut ran_out = false;
        let (counter, ()) = tokio::join!(counter, self.streams.pass_on(&mut self.attached));
        loop {
            // Read at once: the engine removes the control group soon.
            ran_out |= counter.as_ref().is_some_and(OutOfMemoryCounter::has_killed);
            match judge(&self.connection, &self.name).await {
                Some(state) if !state.is_alive() => return exit::reason(&state, self.memory, ran_out),
                None => return exit::removed(),
                // The engine was restarted, or its connection broke. The plugin runs on.
                Some(_) => {
                    tracing::warn!(
                        container = self.name,
                        "the container engine ended the streams of a container that runs on"
                    );
                }
            }
            match attach(&self.connection, &self.name, self.streams.has_stdin()).await {
                Ok(attached) => self.attached = attached,
                Err(failure) => {
                    let error = DockerError::from(failure);
                    tracing::debug!(%error, container = self.name, "the streams of the container could not be opened again");
                }
            }
            tokio::select! {
                () = self.streams.pass_on(&mut self.attached) => {}
                () = not_alive(&self.connection, &self.name) => {}
            }
        }
    }
}

/// The counter of the container's control group. `None` on another machine than the engine's.
async fn counter(connection: &Connection, name: &str) -> Option<OutOfMemoryCounter> {
    let state = inspect(connection, name).await.ok().flatten()?;
    (state.pid > 0).then(|| OutOfMemoryCounter::of(state.pid)).flatten()
}

/// Finds out why the streams ended. Waits for an engine that does not answer. `None` if there is no such container.
async fn judge(connection: &Connection, name: &str) -> Option<State> {
    let mut answered = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        match inspect(connection, name).await {
            Ok(None) => return None,
            // The engine notices the exit a moment after the streams have ended.
            Ok(Some(state)) if !state.is_alive() || answered.elapsed() >= SETTLING => return Some(state),
            Ok(Some(_)) => {}
            Err(error) => {
                if pause < LONGEST_PAUSE {
                    tracing::debug!(%error, container = name, "the container engine does not say whether the container runs");
                }
                answered = Instant::now();
            }
        }
        sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Resolves when the container is known not to be alive.
async fn not_alive(connection: &Connection, name: &str) {
    loop {
        sleep(LONGEST_PAUSE).await;
        match inspect(connection, name).await {
            Ok(Some(state)) if state.is_alive() => {}
            Ok(_) => return,
            Err(_) => {}
        }
    }
}

/// The state of the container. `None` if there is no such container.
async fn inspect(connection: &Connection, name: &str) -> Result<Option<State>, DockerError> {
    let request =
        Request::get("inspect the container", format!("/containers/{name}/json")).timeout(INSPECTION);
    match request.to::<Inspected>(&connection.address).await {
        Ok(found) => Ok(Some(found.state)),
        Err(failure) if failure.is_missing() => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    state: State,
}

/// How long the engine may take to notice the exit of a container whose streams have ended.
const SETTLING: Duration = Duration::from_secs(2);

/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the engine may take to say what a container does.
const INSPECTION: Duration = Duration::from_secs(10);

/// How long the report of an exit waits for the removal.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// How long the last lines of a killed container are read.
const LAST_LINES: Duration = Duration::from_secs(1);
