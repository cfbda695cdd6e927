//! Plugins in containers, by the API of Docker and of Podman.
//!
//! A [`Container`] is a [`Runner`](rpcplugin_client::Runner): a host launches it as it launches a program.
//!
//! ```no_run
//! use rpcplugin_client::Host;
//! use rpcplugin_core::MagicCookie;
//! use rpcplugin_docker::Container;
//!
//! # async fn launch() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Host::new(MagicCookie::new("KV_PLUGIN", "hello")?, 1);
//! let container = Container::new("localhost/kv-plugin:1").memory(64 << 20).pids(64);
//! let plugin = host.launch_with(&container).await?;
//! // … calls through `plugin.channel()` …
//! plugin.shut_down().await;
//! # Ok(()) }
//! ```
//!
//! # How it works
//!
//! - The private directory of the plugin's sockets is mounted into the container at [`SOCKET_DIR`]. The sockets are those of
//!   the host's own kernel: a call takes as long as a call to a child process. The broker works in both directions.
//! - The environment of the handshake goes into the container, and nothing of the host's own environment. The handshake line
//!   comes back through the engine, which is attached to before the container starts. AutoMTLS works as with a child process:
//!   only certificates travel, and no keys.
//! - The container has no network, no capabilities, a read-only root with a small `/tmp` in memory, and may gain no
//!   privileges. Its limits are what [`memory`](Container::memory), [`cpus`](Container::cpus) and [`pids`](Container::pids) set.
//! - With the feature `sandbox`, `Container::sandbox` makes these settings from a `Sandbox`, as far as they have a counterpart.
//! - The exit is reported with its reason: [`ExitCause::OutOfMemory`](rpcplugin_client::ExitCause) for a container that the
//!   kernel killed at its limit, [`ExitCause::Removed`](rpcplugin_client::ExitCause) for a container that another program removed.
//! - The runner removes its container when the plugin has ended, when the [`Plugin`](rpcplugin_client::Plugin) is dropped, and
//!   when a launch is given up. After the death of the host, a plugin of this library ends by itself
//!   (the setting `orphan_timeout` of the host), and the next host that starts a container at the same engine removes what is
//!   left. [`Container::remove_orphans`] does the same at once.
//!
//! # Security
//!
//! Access to the socket of an engine that runs as root *is* root: a program that may create containers may mount the whole
//! machine into one. Give the socket to the host only, and to no plugin. A container shares the kernel with the host. For code
//! that is not trusted use an engine without root, or a [`runtime`](Container::runtime) with a kernel of its own.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::docker`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attached;
mod container;
mod engine;
mod error;
mod exit;
mod image;
mod keeper;
mod options;
mod orphans;
mod os;
mod process;
mod removal;
#[cfg(feature = "sandbox")]
mod sandboxed;
mod spec;
mod translate;
mod user;

pub use container::Container;
pub use engine::Engine;
pub use error::DockerError;
pub use options::{Credentials, Pull, User};
pub use process::ContainerProcess;
pub use translate::SOCKET_DIR;
