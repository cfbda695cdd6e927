//! Containers at an engine that fails: refusals, answers that break off, silence, and an engine that dies.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "faulty_engine/engine.rs"]
mod engine;
#[path = "faulty_engine/images.rs"]
mod images;
#[path = "faulty_engine/lives.rs"]
mod lives;
#[path = "faulty_engine/logs.rs"]
mod logs;
#[path = "faulty_engine/orphans.rs"]
mod orphans;
#[path = "faulty_engine/starts.rs"]
mod starts;

use std::{error::Error as _, time::Duration};

use rpcplugin_client::{LaunchEnvironment, LaunchFault, Runner as _, StartedProcess};
use rpcplugin_docker::{Container, ContainerProcess, DockerError};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

/// The longest that anything may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A launch with this directory for sockets.
fn environment(dir: &TempDir) -> LaunchEnvironment {
    LaunchEnvironment::new(dir.path()).set("KV_COOKIE", "hunter2")
}

async fn start(container: &Container) -> Result<StartedProcess<ContainerProcess>, LaunchFault> {
    let dir = TempDir::new_in("/tmp").unwrap();
    timeout(TIMEOUT, container.start(&environment(&dir))).await.unwrap()
}

/// The error of a start that fails.
async fn fails(container: &Container) -> DockerError {
    let LaunchFault::Start(fault) = start(container).await.map(drop).unwrap_err() else {
        panic!("another fault")
    };
    let rpcplugin_client::StartFault::Runner(error) = fault else { panic!("another fault") };
    *error.downcast().unwrap()
}

/// Waits until the condition holds.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {TIMEOUT:?}: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// An error with its causes.
fn chain(error: &DockerError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
