//! Plugins in containers of a real Podman, which `cargo xtask containers` starts.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "containers/conformance.rs"]
mod conformance;
#[path = "containers/ends.rs"]
mod ends;
#[path = "containers/guide.rs"]
mod guide;
#[path = "containers/hosts.rs"]
mod hosts;
#[path = "containers/kit.rs"]
mod kit;
#[path = "containers/measured.rs"]
mod measured;
#[path = "containers/podman.rs"]
mod podman;
#[path = "containers/refused.rs"]
mod refused;
#[path = "containers/registry.rs"]
mod registry;
#[path = "containers/walls.rs"]
mod walls;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rpcplugin::{
    Endpoint, Host, LaunchError, Plugin, Versions,
    config::{HostConfig, HostTls},
    docker::{Container, DockerError},
    host::{ExitReason, LaunchFault, StartFault},
};
use rpcplugin_tests::{
    contract,
    pb::{InfoRequest, kit_client::KitClient},
    support::wait::eventually,
};
use tempfile::TempDir;

/// The image with the conformance plugin in Rust.
const RUST: &str = "localhost/rpcplugin-tests/kit-rust:1";

/// A host with a directory for sockets of its own, so that a test sees what is left.
struct Place {
    sockets: TempDir,
}

impl Place {
    fn new() -> Self {
        // In `/tmp`, because the path of a socket must be short.
        Self { sockets: TempDir::new_in("/tmp").unwrap() }
    }

    fn host(&self, configure: impl FnOnce(&mut HostConfig)) -> Host {
        Host::new(contract::cookie(), Versions::new(contract::VERSIONS).unwrap()).configure(|config| {
            config.tls = HostTls::AUTO;
            config.unix_socket_dir = Some(self.sockets.path().to_owned());
            // Four tests share two processors.
            config.launch_timeout = Duration::from_secs(60);
            configure(config);
        })
    }

    async fn launch(&self, container: &Container) -> Result<Plugin, LaunchError> {
        self.host(|_| {}).launch_with(container).await
    }

    /// The directories of sockets that exist.
    fn directories(&self) -> Vec<PathBuf> {
        entries(self.sockets.path())
    }

    /// Waits until neither the container nor the directory of the sockets is left.
    async fn is_empty(&self, container: &str) {
        eventually("the container is removed", || !podman::exists(container)).await;
        eventually("the directory is removed", || self.directories().is_empty()).await;
    }
}

/// What is in the directory.
fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A container with the conformance plugin in Rust.
fn rust() -> Container {
    Container::new(RUST).engine(podman::engine())
}

/// Calls the plugin, and returns what it says that it is.
async fn implementation(plugin: &Plugin) -> String {
    KitClient::new(plugin.channel()).info(InfoRequest {}).await.unwrap().into_inner().implementation
}

/// The exit of a plugin that has ended by itself.
async fn exit(plugin: &Plugin) -> ExitReason {
    tokio::time::timeout(Duration::from_secs(30), plugin.wait()).await.unwrap()
}

/// The code of the error of the runner.
fn code(error: &LaunchError) -> String {
    let LaunchFault::Start(StartFault::Runner(source)) = &error.fault else {
        panic!("another fault: {error:?}")
    };
    let error: &DockerError = source.downcast_ref().unwrap();
    miette::Diagnostic::code(error).unwrap().to_string()
}

/// The name of the container of a plugin, as Podman lists it.
fn name(plugin: &Plugin) -> String {
    container_at(plugin.endpoint())
}

/// The name of the container whose plugin listens there.
fn container_at(endpoint: &Endpoint) -> String {
    let Endpoint::Unix(path) = endpoint else { panic!("no Unix socket: {endpoint}") };
    let dir = path.as_path().parent().unwrap().display().to_string();
    podman::output(&format!("ps --all --format {{{{.Names}}}} --filter label=rpcplugin.socket-dir={dir}"))
}
