//! Plugins as separate processes over gRPC, on the wire protocol of HashiCorp go-plugin.
//!
//! A *host* starts *plugins*: programs of their own, in Rust, Go, Python or any language that speaks the protocol. The
//! two find each other by an environment and one line of text, authenticate each other with one-time certificates, and
//! from then on speak gRPC over a Unix socket or TCP. A plugin that crashes takes nothing with it, and one that is
//! upgraded needs no rebuilt host.
//!
//! # A host
//!
//! ```no_run
//! # mod kv { pub use tonic_health::pb::health_client::HealthClient as KvClient; }
//! use rpcplugin::{Command, Host, MagicCookie};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Host::new(MagicCookie::new("KV_PLUGIN", "hello")?, 1);
//! let plugin = host.launch(Command::new("./kv-plugin")).await?;
//! let kv = kv::KvClient::new(plugin.channel());
//! // … call it …
//! println!("{}", plugin.shut_down().await);
//! # Ok(()) }
//! ```
//!
//! # A plugin
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use rpcplugin::{MagicCookie, Serve};
//! # fn kv_server() -> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
//! #     tonic_health::server::health_reporter().1
//! # }
//!
//! fn main() -> ExitCode {
//!     let cookie = MagicCookie::new("KV_PLUGIN", "hello").expect("a key and a value");
//!     Serve::new(cookie).version(1, kv_server()).main()
//! }
//! ```
//!
//! # Calls in the other direction
//!
//! A host that offers services to its plugins, and a plugin that calls them:
//!
//! ```
//! use rpcplugin::{Host, PluginContext, Services};
//! use tonic_health::pb::health_client::HealthClient as DictionaryClient;
//! # fn dictionary() -> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
//! #     tonic_health::server::health_reporter().1
//! # }
//!
//! fn offer(host: Host) -> Host {
//!     host.callbacks(Services::new().add(dictionary()))
//! }
//!
//! fn client(context: &PluginContext) -> DictionaryClient<rpcplugin::PluginChannel> {
//!     DictionaryClient::new(context.host_channel())
//! }
//! ```
//!
//! The connection is made with the first call and shared by all, and secured as the main one is. [`broker`] has more:
//! either side can serve further services under a number and hand that to the other.
//!
//! # The way through
//!
//! [`Host::launch`] makes a one-time identity, starts the process, reads its handshake line, decides on the security
//! of the connection, dials, and asks the plugin for its health, within one deadline. [`Serve`] goes the same way from
//! the other end. What crosses between them is described in [`handshake`].
//!
//! # More
//!
//! The guide, from an empty folder to deployment, is in `docs/guide` of the repository, and this crate's `examples` have a
//! program for each capability: `cargo run --example quickstart` is the first.
//!
//! # Crates
//!
//! This crate puts the others together, and adds the factories under the names of pyvider.rpcplugin. Each can be used
//! alone: [`handshake`] for the values that cross, [`mtls`] for identities, [`transport`] for secured streams, [`broker`]
//! for side connections, [`hclog`] for logs, [`config`] for settings.
//!
//! # Features
//!
//! `client` and `server` are the two sides, both on by default. `ring` (default) and `aws-lc-rs` choose the
//! cryptography. `otel` exports spans and metrics to an OpenTelemetry collector.

mod factories;

#[cfg(feature = "server")]
pub use factories::{FnProtocol, ServerTransport, basic_protocol, plugin_protocol, plugin_server};
#[cfg(feature = "client")]
pub use factories::{PluginClient, plugin_client, with_plugin};
pub use rpcplugin_broker as broker;
#[cfg(feature = "client")]
pub use rpcplugin_client::{
    AttachError, Attachment, Caller, Checksum, ChecksumError, ChildProcess, Command, Event, Events, Exit,
    ExitReason, Generation, Handover, HandoverError, Host, LaunchEnvironment, LaunchError, LaunchFacts,
    LaunchFault, LaunchTimings, LogRecord, Managed, NotHandedOver, Observer, Obstacle, Output, OutputChunk,
    OutputOptions, OutputSource, OverflowPolicy, PingError, Plugin, PluginEvent, PluginExited, PluginId,
    PluginReason, PluginSet, ProgramFile, ReasonKind, Runner, Running, Started, Stdin, Supervise,
    SuperviseError, Supervised, SupervisionState, WhileDown, Writers, discover,
};
pub use rpcplugin_config as config;
pub use rpcplugin_core::{
    AppVersion, Endpoint, ErrorCategory, MagicCookie, PlainReport, ServiceId, TraceContext, Versions,
    Visible, disturbs,
};
pub use rpcplugin_handshake as handshake;
pub use rpcplugin_hclog as hclog;
pub use rpcplugin_mtls as mtls;
#[cfg(feature = "otel")]
pub use rpcplugin_otel as otel;
#[cfg(feature = "server")]
pub use rpcplugin_server::{
    Attachable, BasicProtocol, CustomTransport, Health, HostFacts, NotReady, OriginalStderr, PluginContext,
    Protocol, RateLimit, Readiness, Serve, ServeError, Served, ServingStatus, Shutdown, ShutdownCause,
    hclog_layer,
};
pub use rpcplugin_transport as transport;
pub use rpcplugin_transport::{
    ConnectionKind, ConnectionTraffic, Meter, ServiceLayer, Services, TraceCalls, TraceServices, Traffic,
    current_trace,
    http2::{PluginChannel, ResponseBody},
    in_trace,
};
