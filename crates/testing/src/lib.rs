//! Host and plugin in one process, for tests of your own plugin or host.
//!
//! [`InProcess`] is a [`Runner`](rpcplugin_client::Runner): a host launches it as it launches a program. The launch is a real
//! one: the plugin checks the cookie and prints a handshake line, both sides agree on a version, secure the connection, and
//! speak gRPC. The main connection is an in-memory stream in place of a socket.
//!
//! ```
//! use rpcplugin_client::{Exit, Host};
//! use rpcplugin_core::MagicCookie;
//! use rpcplugin_server::Serve;
//! use rpcplugin_testing::InProcess;
//! # use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient as KvClient};
//! # fn kv_server() -> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
//! #     tonic_health::server::health_reporter().1
//! # }
//!
//! fn cookie() -> MagicCookie {
//!     MagicCookie::new("KV_PLUGIN", "hello").expect("a key and a value")
//! }
//!
//! /// The plugin. Its `main` is `plugin().main()`.
//! fn plugin() -> Serve {
//!     Serve::new(cookie()).version(1, kv_server())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a test:
//! let host = Host::new(cookie(), 1);
//! let plugin = host.launch_with(&InProcess::new(plugin)).await?;
//! let mut kv = KvClient::new(plugin.channel());
//! kv.check(HealthCheckRequest::default()).await?;
//! assert_eq!(plugin.shut_down().await, Exit::Clean);
//! # Ok(()) }
//! ```
//!
//! # Same as in a process of its own
//!
//! Settings of host and plugin, versions, AutoMTLS, message limits, rate limits, layers, health, reflection, the broker in both
//! directions, callbacks, supervision, shutdown with its hooks, and the errors of a failed launch.
//!
//! # Different
//!
//! - Log events of the plugin go to the subscriber of the test, and not through the host.
//! - `println!` in the plugin goes to the stdout of the test. [`InProcess::print_stdout`] sends output to the host, as if the
//!   plugin had printed it.
//! - The plugin catches no signals and does not watch its parent. [`Exit::Killed`](rpcplugin_client::Exit::Killed) is a task
//!   that was aborted.
//! - Brokered connections are sockets, unless the host multiplexes (`multiplex` of its settings): all connections then share
//!   the in-memory stream, and a test can pause the time of its runtime.
//!
//! # Runners
//!
//! [`RunnerConformance`] puts a [`Runner`](rpcplugin_client::Runner) through what every runner has to do, and returns a
//! [report](RunnerReport) of each case.
//!
//! # Protocol
//! go-plugin `testing.go` `TestPluginGRPCConn`. Differs: the handshake is part of the test.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::testing`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod in_process;
mod memory;
mod runner;
mod task;

pub use in_process::InProcess;
pub use runner::{CaseOutcome, PluginBehavior, RunnerCase, RunnerConformance, RunnerReport};
pub use task::InProcessTask;
