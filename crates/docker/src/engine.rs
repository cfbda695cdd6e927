//! The container engine: where it is, what it is, and the requests to it.

mod address;
mod connection;
mod request;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bollard::Docker;
use serde::{Deserialize, de::IgnoredAny};

pub(crate) use self::address::Address;
pub(crate) use self::request::{Failure, Request};
use crate::error::DockerError;

/// A container engine, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Engine {
    /// The address, for example `unix:///run/podman/podman.sock`.
    pub address: String,
    /// The name, for example `Podman Engine`.
    pub name: String,
    /// The version, for example `4.3.1`.
    pub version: String,
    /// Whether the engine runs without root.
    pub is_rootless: bool,
    /// Whether SELinux confines the containers.
    pub has_selinux: bool,
    /// Whether the engine filters the system calls of its containers.
    pub has_seccomp: bool,
    /// Whether the engine can limit the memory of a container.
    pub limits_memory: bool,
    /// Whether the engine can limit the processes of a container.
    pub limits_processes: bool,
    /// The runtimes that the engine knows. Podman also lists those that are not installed.
    pub runtimes: Vec<String>,
    /// The runtime that containers have if they ask for none.
    pub default_runtime: String,
}

impl Engine {
    /// Whether this is Podman.
    pub(crate) fn is_podman(&self) -> bool {
        self.name.contains("Podman")
    }
}

/// A connection to an engine that has described itself. Each request opens a stream of its own.
pub(crate) struct Connection {
    pub(crate) address: Address,
    pub(crate) engine: Engine,
    pub(crate) docker: Docker,
}

impl Connection {
    /// Asks the engine what it is. The answer is kept for the life of the process, because it takes the engine longer than it takes
    /// to create a container.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub(crate) async fn to(address: &Address) -> Result<Arc<Self>, DockerError> {
        static KNOWN: Mutex<BTreeMap<Address, Arc<Connection>>> = Mutex::new(BTreeMap::new());
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = known().get(address) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(Self::describe(address).await?);
        known().insert(address.clone(), Arc::clone(&connection));
        Ok(connection)
    }

    /// Asks the engine what it is, without the memory of earlier answers.
    pub(crate) async fn describe(address: &Address) -> Result<Self, DockerError> {
        let docker = connection::docker(address);
        let version: Version = Request::get("say its version", "/version").to(address).await?;
        let info: Info = Request::get("describe itself", "/info").to(address).await?;
        let has = |option: &str| {
            info.security_options
                .iter()
                .flatten()
                .any(|entry| entry.split(',').any(|part| part == format!("name={option}") || part == option))
        };
        let name = version.components.into_iter().flatten().next().map_or_else(
            || version.platform.map_or_else(|| "container engine".to_owned(), |platform| platform.name),
            |component| component.name,
        );
        let engine = Engine {
            address: address.to_string(),
            name,
            version: version.version,
            is_rootless: has("rootless") || info.rootless.unwrap_or(false),
            has_selinux: has("selinux"),
            has_seccomp: has("seccomp"),
            limits_memory: info.memory_limit.unwrap_or(false),
            limits_processes: info.pids_limit.unwrap_or(false),
            runtimes: info.runtimes.into_iter().flatten().map(|(name, _)| name).collect(),
            default_runtime: info.default_runtime.unwrap_or_default(),
        };
        Ok(Self { address: address.clone(), engine, docker })
    }

    /// A request whose answer is JSON.
    pub(crate) async fn json<T: serde::de::DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<T, DockerError> {
        request.to(&self.address).await.map_err(DockerError::from)
    }

    /// A request of bollard, with the time that it may take.
    pub(crate) async fn request<T>(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Failure> {
        request::bounded(&self.address, action, request).await
    }

    /// The failure that an error of bollard stands for.
    pub(crate) fn failure(&self, action: &'static str, error: bollard::errors::Error) -> Failure {
        request::failure(&self.address, action, error)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("engine", &self.engine).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    components: Option<Vec<Named>>,
    platform: Option<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    security_options: Option<Vec<String>>,
    runtimes: Option<BTreeMap<String, IgnoredAny>>,
    default_runtime: Option<String>,
    rootless: Option<bool>,
    memory_limit: Option<bool>,
    pids_limit: Option<bool>,
}
