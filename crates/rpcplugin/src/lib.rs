//! Plugins as separate processes over gRPC, on the wire protocol of HashiCorp go-plugin.
//!
//! A *host* launches *plugins*: programs in Rust, Go, Python or any other language that implements the protocol. A plugin that
//! crashes does not crash the host, and is replaced without rebuilding the host. Host and plugin authenticate each other with
//! certificates that are made for each launch, and speak gRPC over a Unix socket or TCP.
//!
//! # Cargo.toml
//!
//! Both sides need the same dependencies, and a `build.rs` that generates client and server from a `.proto` file, without a
//! protobuf compiler:
//!
//! ```toml
//! [dependencies]
//! rpcplugin = "0.1"
//! tonic = { version = "0.14", default-features = false, features = ["codegen"] }
//! tonic-prost = "0.14"
//! prost = "0.14"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tracing = "0.1"
//!
//! [build-dependencies]
//! rpcplugin-build = "0.1"
//! ```
//!
//! ```ignore
//! // build.rs
//! fn main() -> Result<(), rpcplugin_build::BuildError> {
//!     rpcplugin_build::compile(&["proto/kv.proto"], &["proto"])
//! }
//! ```
//!
//! # A host
//!
//! `KvClient` is generated. The *magic cookie* is an environment variable by which the plugin knows that a host launched it. It
//! is not a secret. `1` is the version of the service.
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
//! println!("the plugin {}", plugin.shut_down().await);
//! # Ok(()) }
//! ```
//!
//! # A plugin
//!
//! `KvServer` is generated, and wraps your implementation of the service.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use rpcplugin::{MagicCookie, Serve};
//! # struct MyKv;
//! # struct KvServer;
//! # impl KvServer {
//! #     fn new(_: MyKv) -> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
//! #         tonic_health::server::health_reporter().1
//! #     }
//! # }
//!
//! fn main() -> ExitCode {
//!     let cookie = MagicCookie::new("KV_PLUGIN", "hello").expect("a key and a value");
//!     Serve::new(cookie).version(1, KvServer::new(MyKv)).main()
//! }
//! ```
//!
//! # Logs
//!
//! A plugin logs with `tracing`. [`Serve`] sets the subscriber. The records become `tracing` events of the host, whose target is
//! the name of the plugin's program: a host that sets a subscriber sees them. A host without a subscriber prints warnings,
//! errors and panics of its plugins on stderr. What a plugin prints with `println!` is [forwarded](host::OutputStream) too.
//!
//! # Errors
//!
//! Each error is a `miette::Diagnostic` with a code that stays and with help that names the next step.
//! [`LaunchError`] has the cause, the exit status, and the plugin's last lines. A call that fails because the plugin exited has
//! the source [`PluginExited`](host::PluginExited). [`PlainReport`](error::PlainReport) prints an error without miette's colours, and
//! [`plain_reports`](error::plain_reports) makes a `main` that returns `miette::Result` print its error in this way.
//!
//! # The ten types that you need
//!
//! | type | purpose |
//! |---|---|
//! | [`Host`] | launches plugins: cookie, versions, settings, callbacks |
//! | [`Command`] | the program to launch, with arguments and environment |
//! | [`Plugin`] | a launched plugin: its channel, its broker, its shutdown |
//! | [`PluginChannel`] | the channel for generated clients |
//! | [`Exit`] | how a plugin ended |
//! | [`LaunchError`] | why a plugin did not start |
//! | [`Serve`] | serves a plugin: cookie, versions, services, settings |
//! | [`PluginContext`] | what services of a plugin can use: the host's channel, the broker, health, shutdown |
//! | [`Services`] | several gRPC services together |
//! | [`MagicCookie`] | the variable by which a plugin knows its host |
//!
//! # Calls from the plugin to the host
//!
//! [`Host::callbacks`] serves gRPC services to every plugin, and a plugin calls them on [`PluginContext::host_channel`]. The first
//! call opens the connection. All calls share it, and it is secured as the main connection is. The module [`broker`] makes further
//! connections: either side serves services under a number, and the other side dials the number.
//!
//! # What a launch does
//!
//! [`Host::launch`] makes an identity for this launch, starts the process, reads its handshake line, decides how the connection
//! is secured, connects, and calls the plugin's health service. One timeout covers all of it. [`Serve`] does the same steps on
//! the plugin's side. The module [`handshake`] has the values that host and plugin exchange.
//!
//! # Modules
//!
//! The root has what the first host and the first plugin need. The rest is in modules by subject:
//!
//! | module | subject |
//! |---|---|
//! | [`host`] | launching, attaching, observing, supervising |
//! | [`plugin`] | serving, health, readiness, shutdown, logging |
//! | [`config`] | settings from file, environment and code |
//! | [`error`] | categories and reports of errors |
//! | [`broker`] | further connections, in both directions |
//! | [`metadata`] | what a plugin is: name, version, capabilities |
//! | [`tls`] | certificates, keys, roots |
//! | [`handshake`] | the variables and the line that host and plugin exchange |
//! | [`hclog`] | log records in go-plugin's format |
//! | [`telemetry`] | traffic, traces, and with the feature `otel` metrics |
//! | `docker` | plugins in containers of Docker and Podman, with the feature `docker` |
//! | `sandbox` | what a confined plugin may do, with the feature `sandbox` |
//! | `testing` | host and plugin in one process, with the feature `testing` |
//! | [`transport`] | streams and HTTP/2 |
//! | [`pyvider`] | the names of pyvider.rpcplugin |
//!
//! # Features
//!
//! | feature | default | effect |
//! |---|---|---|
//! | `client` | yes | the host side |
//! | `server` | yes | the plugin side |
//! | `ring` | yes | the cryptography of ring, which is fast to build |
//! | `p521` | yes | P-521 for `ring`: peers that are built on go-plugin have such certificates. `aws-lc-rs` does not need it |
//! | `aws-lc-rs` | | the cryptography of AWS-LC without its FIPS module. Used if both are enabled |
//! | `config-file` | | settings from files in TOML and JSON |
//! | `rate-limit` | | limits of the rate of calls to a plugin |
//! | `tonic-channel` | | tonic's own channel to a plugin, beside [`PluginChannel`] |
//! | `otel` | | export of spans and metrics to an OpenTelemetry collector |
//! | `docker` | | plugins in containers, by the API of Docker and Podman |
//! | `sandbox` | | confines plugins on Linux: files, network, system calls, limits |
//! | `testing` | | host and plugin in one process, for tests |
//!
//! A setting for a feature that is not enabled is an error that names the feature: the variable `PLUGIN_CONFIG_FILE`, a rate limit, a
//! P-521 key, and a peer with a P-521 certificate.
//!
//! # More
//!
//! - The [guide](https://github.com/rpcplugin/rpcplugin/tree/main/docs/guide), from an empty folder to deployment
//! - The [examples](https://github.com/rpcplugin/rpcplugin/tree/main/crates/rpcplugin/examples), a program for each capability
//! - [Settings](https://github.com/rpcplugin/rpcplugin/blob/main/docs/configuration.md),
//!   [errors](https://github.com/rpcplugin/rpcplugin/blob/main/docs/errors.md), and the
//!   [program `rpcplugin`](https://github.com/rpcplugin/rpcplugin/blob/main/docs/cli.md), which inspects plugins in any language
//!
//! The crates `rpcplugin-*` behind this one are internal: their APIs may change with any release.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod pyvider;

#[cfg(feature = "client")]
pub use rpcplugin_client::{Command, Exit, Host, LaunchError, Plugin};
pub use rpcplugin_core::{AppVersion, Endpoint, MagicCookie, Versions, plugin_metadata};
#[cfg(feature = "server")]
pub use rpcplugin_server::{PluginContext, Serve, ServeError, Served};
pub use rpcplugin_transport::{Services, http2::PluginChannel};

/// The host's side: launching plugins, attaching to them, supervising them, and observing them.
#[cfg(feature = "client")]
pub mod host {
    pub use rpcplugin_client::{
        AttachError, Attachment, CallingPlugin, Checksum, ChecksumError, ChildProcess, Command, ConnectFault,
        DiscoveredPlugin, Event, Events, Exit, ExitCause, ExitReason, ExitReport, FolderError, FolderEvent,
        FolderPlugin, Generation, GoneReason, Handover, HandoverError, HandshakeFault, Host, InstanceError,
        InstanceRemoval, LaunchEnvironment, LaunchError, LaunchFacts, LaunchFault, LaunchTimings, LogRecord,
        Managed, MessageLimits, MetadataCallError, NotHandedOver, Observer, Obstacle, OutputChunk,
        OutputOptions, OutputSource, OutputStream, OverflowPolicy, PingError, Plugin, PluginEvent,
        PluginExited, PluginId, PluginInstance, PluginProcess, PluginReason, PluginSet, ProgramFault,
        ProgramFile, ReasonKind, RequirementFault, Requirements, Runner, SecurityFault, SetupFault, Signal,
        SocketFolder, StartFault, StartedProcess, Stdin, Supervise, SuperviseError, Supervised,
        SupervisionState, WhileDown, Writers, discover, discover_plugins,
    };
    pub use rpcplugin_core::{ConfigurationError, InstanceConfiguration, InstanceId, InstanceIdError, Pid};
}

/// The plugin's side: serving, health, instances, readiness, shutdown and logging.
#[cfg(feature = "server")]
pub mod plugin {
    pub use rpcplugin_core::{ConfigurationError, InstanceConfiguration, InstanceId, InstanceIdError};
    pub use rpcplugin_server::{
        Announced, Attachable, BasicProtocol, Bound, BoxError, CustomTransport, Health, HostFacts,
        InProcessPlugin, Instance, InstanceSpec, Instances, NotReady, OriginalStderr, PanicOutput,
        PluginContext, PluginOutput, Protocol, Readiness, Serve, ServeError, Served, ServingStatus, Shutdown,
        ShutdownCause, hclog_layer,
    };
    #[cfg(feature = "rate-limit")]
    pub use rpcplugin_server::{RateLimit, RateLimited};
}

/// Settings: their values, where they come from, and the loader.
pub mod config {
    #[cfg(feature = "config-file")]
    pub use rpcplugin_config::Format;
    pub use rpcplugin_config::{
        ByteSize, ConfigError, Configuration, EffectiveSetting, EnvPolicy, Fault, FaultKind, HostConfig,
        HostTls, Http2Config, IgnoredBecause, IgnoredVariable, KeepaliveConfig, LegacyPolicy, LegacySetting,
        Loaded, Loader, LogLevel, Origin, Pem, PluginConfig, PluginTls, PortRange, PortRangeError, Rate,
        RateLimitConfig, Rates, Registry, RegistryError, RetryConfig, SecretPem, Setting, Side,
        SupervisionConfig, TcpPort, TcpPorts, TransportKind, legacy_settings, settings,
    };
}

/// What all errors have in common: categories and reports in plain text.
pub mod error {
    pub use rpcplugin_core::{
        ErrorCategory, PlainReport, Visible, causes, disturbs, plain_reports, with_causes,
    };
}

/// What a plugin is: its name, its version, its capabilities. A plugin reports it when it runs, and has it in its program file.
///
/// [`plugin_metadata!`](crate::plugin_metadata) makes the metadata of a crate. The versions are those of the crate `semver`.
pub mod metadata {
    pub use rpcplugin_core::{
        MetadataError, MetadataField, MetadataScanner, PluginMetadata, PluginMetadataBuilder,
        semver::{Version, VersionReq},
    };
}

/// Further connections between a host and its plugin, in both directions.
pub mod broker {
    pub use rpcplugin_broker::{
        AcceptError, BoxError, Broker, BrokerSettings, DialError, DisconnectReason, HOST_SERVICES, Incoming,
        ListenAt, PeerOrigin, Role, ServiceHandle, Translate, Unreachable,
    };
    pub use rpcplugin_core::ServiceId;
}

/// The handshake: what a host passes to its plugin in the environment, and the line that the plugin prints.
pub mod handshake {
    pub use rpcplugin_handshake::{
        CookieRefused, HandshakeLine, HandshakeLineError, HandshakeLineFault, HostEnv, HostEnvFault,
        LaneOffer, Multiplexing, Negotiated, PortRange, PortRangeError, ReattachConfig, ReattachConfigs,
        ReattachError, ReceivedEnv, TcpPorts, VersionNotOffered, accept_version, check_cookie, negotiate,
        variable,
    };
}

/// Certificates, keys and roots of mutual TLS.
pub mod tls {
    pub use rpcplugin_mtls::{
        ExportedIdentity, Identity, IdentityError, KeyAlgorithm, MutualTls, OutOfDate, PeerCertificate,
        PeerCertificateError, PemError, PemOrigin, RootCertificates, TlsError, Trust, provider,
    };
}

/// hclog records: the layer that writes them, and the parser that reads them.
pub mod hclog {
    pub use rpcplugin_hclog::{
        HclogLayer, Json, Level, LineEnd, Lines, LogLine, MaxLevel, ParsedRecord, Parser, Piece, Record,
        Sink, Timestamp,
    };
}

/// Traffic counts, the context of traces, and with the feature `otel` the export to an OpenTelemetry collector.
pub mod telemetry {
    pub use rpcplugin_core::TraceContext;
    #[cfg(feature = "otel")]
    pub use rpcplugin_otel::{
        CallBody, CallFuture, InstrumentCalls, InstrumentServices, Instrumented, Telemetry, TelemetryBuilder,
        TelemetryError,
    };
    pub use rpcplugin_transport::{
        ConnectionKind, ConnectionTraffic, Meter, TraceCalls, TraceServices, TracedCalls, TracedService,
        Traffic, current_trace, in_trace,
    };
}

/// Plugins in containers, by the API of Docker and Podman.
#[cfg(feature = "docker")]
pub mod docker {
    pub use rpcplugin_docker::{
        Container, ContainerProcess, Credentials, DockerError, Engine, Pull, SOCKET_DIR, User,
    };
}

/// What a confined plugin may do, and the report of what is enforced. A host applies a sandbox with
/// [`Command::sandbox`](crate::Command::sandbox).
#[cfg(feature = "sandbox")]
pub mod sandbox {
    pub use rpcplugin_client::sandbox::{
        Confinement, ControlGroup, Denied, Enforce, Layer, LayerState, Limits, Network, Prepared, Program,
        Sandbox, SandboxFault, SystemCalls, UnixSockets,
    };
}

/// Host and plugin in one process, for tests of a plugin or a host, and the conformance of runners.
#[cfg(feature = "testing")]
pub mod testing {
    pub use rpcplugin_testing::{
        CaseOutcome, InProcess, InProcessTask, PluginBehavior, RunnerCase, RunnerConformance, RunnerReport,
    };
}

/// Streams and listeners, for custom transports and for code that connects without a [`host`].
pub mod transport {
    pub use rpcplugin_transport::{
        BindError, ConnectError, Dial, Dialer, InheritedConnection, Io, LANE_VERSION, Listen, Listener,
        MessageLimits, Route, SecureError, SecureStream, Security, ServiceLayer, ServiceLayers, SocketDir,
        SocketDirError, Stream, dial, speaks_tls,
    };

    /// gRPC over HTTP/2: a channel over a stream, and a server for incoming streams.
    pub mod http2 {
        pub use rpcplugin_transport::http2::{
            AnyBodyChannel, AnyBodyFuture, CallFuture, ChannelError, Choose, Connect, Explain, IncomingBody,
            InfallibleBody, Keepalive, Lane, PluginChannel, Presence, ResponseBody, Serving, Settings,
            connect, connect_lazy, serve,
        };
    }

    /// Many streams over one connection, for hosts and plugins that multiplex.
    pub mod yamux {
        pub use rpcplugin_transport::yamux::{Closer, Config, Error, Session, Stream};
    }
}
