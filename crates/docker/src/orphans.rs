//! Containers whose hosts are gone: how they are recognised, and how they are removed.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use rpcplugin_transport::{ProcessRecord, remove_orphaned_dir};
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    engine::{Address, Connection, Failure, Request},
    error::DockerError,
    removal::{is_in_use, remove},
};

/// The labels of a container of this process.
pub(crate) fn labels(plugin: &str, socket_dir: &Path) -> HashMap<String, String> {
    let host = ProcessRecord::of(std::process::id()).map(|host| (HOST.to_owned(), host.to_string()));
    let others = [
        (PLUGIN.to_owned(), plugin.to_owned()),
        (COPY.to_owned(), copy().to_owned()),
        (DIR.to_owned(), socket_dir.display().to_string()),
    ];
    others.into_iter().chain(host).collect()
}

/// The name of a container that goes on without its host.
pub(crate) fn name_without_host(name: &str) -> String {
    format!("{WITHOUT_HOST}{}", name.strip_prefix(PREFIX).unwrap_or(name))
}

/// Removes the orphans in the background, at most once a minute.
pub(crate) fn sweep(connection: &Arc<Connection>) {
    static SWEPT: Mutex<BTreeMap<Address, Instant>> = Mutex::new(BTreeMap::new());
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = swept.get(&connection.address).is_none_or(|last| last.elapsed() >= INTERVAL);
    if is_due {
        swept.insert(connection.address.clone(), Instant::now());
        let connection = Arc::clone(connection);
        tokio::spawn(async move {
            match timeout(INTERVAL, remove_orphans(&connection)).await {
                Ok(Ok(removed)) if removed.is_empty() => {}
                Ok(Ok(removed)) => tracing::debug!(?removed, "removed containers whose hosts are gone"),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "containers whose hosts are gone could not be looked for")
                }
                Err(_) => tracing::debug!("removing containers whose hosts are gone took too long"),
            }
        });
    }
}

/// Removes the containers whose hosts are gone, with the directories of their sockets. Returns their names.
pub(crate) async fn remove_orphans(connection: &Connection) -> Result<Vec<String>, DockerError> {
    let list: Vec<Listed> = connection.json(Request::get("list the containers", LIST)).await?;
    let (mut removed, mut refused) = (Vec::new(), None);
    for found in list.iter().filter(|found| found.is_orphaned()) {
        let Some(name) = found.name() else { continue };
        match remove(connection, name).await {
            Ok(true) => removed.push(name.to_owned()),
            Ok(false) => {}
            // Another host may be removing it.
            Err(failure @ Failure::Status { .. }) => {
                refused.get_or_insert(failure);
                continue;
            }
            Err(failure) => return Err(failure.into()),
        }
        if let Some(dir) = found.label(DIR) {
            remove_orphaned_dir(Path::new(dir));
        }
    }
    refused.map_or(Ok(removed), |failure| Err(failure.into()))
}

/// A container in the engine's list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    names: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    state: Option<String>,
}

impl Listed {
    fn name(&self) -> Option<&str> {
        let name = self.names.as_ref()?.first()?;
        Some(name.strip_prefix('/').unwrap_or(name))
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// Whether nothing needs the container any more. Only what is certain counts.
    fn is_orphaned(&self) -> bool {
        let (Some(name), Some(host)) = (self.name(), self.label(HOST).and_then(ProcessRecord::parse)) else {
            return false;
        };
        let is_ours = self.label(COPY) == Some(copy());
        let is_left = if is_ours { !is_in_use(name) } else { host.has_ended() };
        let is_alive = self.state.as_deref().is_none_or(|state| ALIVE.contains(&state));
        is_left && !(name.starts_with(WITHOUT_HOST) && is_alive)
    }
}

/// A name for this copy of the library in this process: another copy may run in the same process.
fn copy() -> &'static str {
    static COPY: OnceLock<String> = OnceLock::new();
    COPY.get_or_init(|| format!("{:016x}", fastrand::u64(..)))
}

/// The beginning of the names of containers.
pub(crate) const PREFIX: &str = "rpcplugin-";

/// The beginning of the names of containers that go on without their hosts.
const WITHOUT_HOST: &str = "rpcplugin-without-host-";

/// The host that started the container.
const HOST: &str = "rpcplugin.host";
/// The image, as the host names it.
const PLUGIN: &str = "rpcplugin.plugin";
/// The copy of the library that started the container.
const COPY: &str = "rpcplugin.copy";
/// The directory of the sockets, on the host.
const DIR: &str = "rpcplugin.socket-dir";

/// All containers with the label of a host: `filters={"label":["rpcplugin.host"]}`.
const LIST: &str = "/containers/json?all=true&filters=%7B%22label%22%3A%5B%22rpcplugin.host%22%5D%7D";

/// The states of containers that live. `created` and `initialized` are those of a container that is about to start.
const ALIVE: [&str; 6] = ["running", "paused", "restarting", "stopping", "created", "initialized"];

/// How often the orphans are removed at most, and how long that may take.
const INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, host: &str, copy: &str, state: &str) -> Listed {
        let labels = [(HOST, host), (COPY, copy)];
        Listed {
            names: Some(vec![format!("/{name}")]),
            labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            state: Some(state.to_owned()),
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_containers_of_hosts_that_are_certainly_gone_are_orphans() {
        let own = ProcessRecord::of(std::process::id()).expect("this is Linux").to_string();
        let gone = own.replacen(&std::process::id().to_string(), "2147483632", 1);
        assert!(listed("rpcplugin-a", &gone, "other", "running").is_orphaned());
        assert!(
            !listed("rpcplugin-a", &own, "other", "exited").is_orphaned(),
            "another copy in this process"
        );
        assert!(listed("rpcplugin-a", &own, copy(), "running").is_orphaned(), "could not be removed before");
        assert!(!listed("rpcplugin-a", "anything", "other", "exited").is_orphaned());
        let left = name_without_host("rpcplugin-a");
        assert!(!listed(&left, &gone, "other", "running").is_orphaned(), "handed over");
        assert!(listed(&left, &gone, "other", "exited").is_orphaned(), "handed over, and ended");
    }

    #[test]
    fn the_host_is_in_the_labels() {
        let labels = labels("localhost/kv:1", Path::new("/tmp/rpcplugin-x"));
        assert_eq!(labels[PLUGIN], "localhost/kv:1");
        assert_eq!(labels[DIR], "/tmp/rpcplugin-x");
        if cfg!(target_os = "linux") {
            assert!(ProcessRecord::parse(&labels[HOST]).is_some_and(|host| !host.has_ended()));
        }
    }
}
