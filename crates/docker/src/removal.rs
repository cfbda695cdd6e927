//! Removing a container, however its plugin ends.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use bollard::query_parameters::RemoveContainerOptionsBuilder;
use tokio::{
    runtime::{Builder, Handle},
    time::{Instant, sleep, timeout},
};

use crate::engine::{Connection, Failure};

/// Removes a container when it is dropped: in the background, or at once where the runtime is shutting down.
#[derive(Debug)]
pub(crate) struct Removal(Option<Doomed>);

/// A removal that the runtime may drop before it is done.
struct Last(Option<Doomed>);

/// A container that will be removed.
struct Doomed {
    connection: Arc<Connection>,
    name: String,
    /// Whether the engine may still be creating the container.
    may_appear: bool,
}

/// The names of the containers of this process that are in use. All others of this process are left over.
static IN_USE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn in_use() -> MutexGuard<'static, BTreeSet<String>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process uses the container.
pub(crate) fn is_in_use(name: &str) -> bool {
    in_use().contains(name)
}

impl Removal {
    /// The removal of a container that is about to be created.
    pub(crate) fn of(connection: &Arc<Connection>, name: &str) -> Self {
        in_use().insert(name.to_owned());
        let doomed = Doomed { connection: Arc::clone(connection), name: name.to_owned(), may_appear: true };
        Self(Some(doomed))
    }

    /// The engine has answered: the container exists, or never will.
    pub(crate) fn is_settled(&mut self) {
        if let Some(doomed) = &mut self.0 {
            doomed.may_appear = false;
        }
    }

    /// Removes the container. Returns whether the container is gone. `false` after a minute without success.
    ///
    /// # Cancel safety
    /// Dropping the future removes the container in the background.
    pub(crate) async fn now(mut self) -> bool {
        let Some(doomed) = &self.0 else { return true };
        let is_gone = doomed.remove().await;
        self.0 = None;
        is_gone
    }

    /// Leaves the container to another program.
    pub(crate) fn keep(mut self) {
        if let Some(doomed) = self.0.take() {
            in_use().remove(&doomed.name);
        }
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        let Some(doomed) = self.0.take() else { return };
        let last = Last(Some(doomed));
        match Handle::try_current() {
            // A runtime that is shutting down drops the task at once.
            Ok(runtime) => drop(runtime.spawn(last.run())),
            Err(_) => drop(last),
        }
    }
}

impl Last {
    async fn run(mut self) {
        if let Some(doomed) = &self.0 {
            doomed.remove().await;
        }
        self.0 = None;
    }
}

impl Drop for Last {
    /// Blocks until the container is removed, but not for long: the program is about to end.
    fn drop(&mut self) {
        let Some(doomed) = self.0.take() else { return };
        let remove = move || {
            if let Ok(runtime) = Builder::new_current_thread().enable_all().build() {
                let _ = runtime.block_on(async { timeout(LAST_WAIT, doomed.remove()).await });
            }
        };
        if let Ok(thread) = thread::Builder::new().name("rpcplugin-docker".to_owned()).spawn(remove) {
            let _ = thread.join();
        }
    }
}

impl Doomed {
    /// Kills and removes the container. Tries again while the engine does not answer.
    async fn remove(&self) -> bool {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            let is_late = begun.elapsed() >= APPEARANCE;
            match remove(&self.connection, &self.name).await {
                Ok(true) => break,
                Ok(false) if !self.may_appear || is_late => break,
                Ok(false) => {}
                Err(error) if begun.elapsed() >= GIVE_UP => {
                    let error = crate::DockerError::from(error);
                    tracing::warn!(%error, container = self.name, "the container could not be removed");
                    in_use().remove(&self.name);
                    return false;
                }
                Err(_) => {}
            }
            sleep(pause).await;
            pause = (2 * pause).min(Duration::from_secs(1));
        }
        in_use().remove(&self.name);
        true
    }
}

impl fmt::Debug for Doomed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doomed").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Kills and removes a container once. Returns `false` if there is no such container.
pub(crate) async fn remove(connection: &Connection, name: &str) -> Result<bool, Failure> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    let removed = connection.docker.remove_container(name, Some(options));
    match connection.request("remove the container", removed).await {
        Ok(()) => Ok(true),
        Err(failure) if failure.is_missing() => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// How long a container may take to appear whose creation was given up.
const APPEARANCE: Duration = Duration::from_secs(10);

/// How long the removal is tried.
const GIVE_UP: Duration = Duration::from_secs(60);

/// How long the end of the program may be delayed.
const LAST_WAIT: Duration = Duration::from_secs(5);
