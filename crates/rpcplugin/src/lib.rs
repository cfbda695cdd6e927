//! Plugins as separate processes over gRPC, on the wire protocol of HashiCorp go-plugin.
//!
//! A *host* launches *plugins*: programs in Rust, Go, Python or any other language that implements the protocol. Host and
//! plugin find each other by environment variables and one line of text on stdout. They authenticate each other with
//! certificates that are made for this launch, and then speak gRPC over a Unix socket or TCP. A plugin that crashes does
//! not crash the host, and a plugin can be replaced without rebuilding the host.
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
//! # Calls from the plugin to the host
//!
//! A host can serve gRPC services to its plugins, and a plugin can call them:
//!
//! ```
//! use rpcplugin::{Host, PluginChannel, PluginContext, Services};
//! use tonic_health::pb::health_client::HealthClient as DictionaryClient;
//! # fn dictionary() -> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
//! #     tonic_health::server::health_reporter().1
//! # }
//!
//! fn with_callbacks(host: Host) -> Host {
//!     host.callbacks(Services::new().add(dictionary()))
//! }
//!
//! fn client(context: &PluginContext) -> DictionaryClient<PluginChannel> {
//!     DictionaryClient::new(context.host_channel())
//! }
//! ```
//!
//! The first call opens the connection. All calls share it, and it is secured as the main connection is. The module
//! [`broker`] makes further connections: either side serves services under a number, and the other side dials the number.
//!
//! # What a launch does
//!
//! [`Host::launch`] makes an identity for this launch, starts the process, reads its handshake line, decides how the
//! connection is secured, connects, and calls the plugin's health service. One timeout covers all of it. [`Serve`] does
//! the same steps on the plugin's side. The module [`handshake`] has the values that host and plugin exchange.
//!
//! # Modules
//!
//! The root has what the first host and the first plugin need. The rest is in modules by subject: [`host`] and [`plugin`]
//! for the two sides, [`config`] for settings, [`error`] for reports of errors, [`broker`] for further connections,
//! [`tls`] for certificates, [`handshake`], [`hclog`] for log records, [`telemetry`] for traffic, traces and metrics,
//! [`transport`] for streams and HTTP/2, and [`pyvider`] for the names of pyvider.rpcplugin.
//!
//! The guide, from an empty folder to deployment, is in `docs/guide` of the repository. This crate's `examples` have a
//! program for each capability; `cargo run --example quickstart` is the first.
//!
//! The crates `rpcplugin-*` behind this one are internal: their APIs may change with any release.
//!
//! # Features
//!
//! - `client` and `server` (default): the two sides.
//! - `ring` (default) or `aws-lc-rs`: the cryptography.
//! - `otel`: export of spans and metrics to an OpenTelemetry collector.

pub mod pyvider;

#[cfg(feature = "client")]
pub use rpcplugin_client::{Command, Exit, Host, LaunchError, Plugin};
pub use rpcplugin_core::{AppVersion, Endpoint, MagicCookie, Versions};
#[cfg(feature = "server")]
pub use rpcplugin_server::{PluginContext, Serve, ServeError, Served};
pub use rpcplugin_transport::{Services, http2::PluginChannel};

/// The host's side: launching plugins, attaching to them, supervising them, and observing them.
#[cfg(feature = "client")]
pub mod host {
    pub use rpcplugin_client::{
        AttachError, Attachment, CallingPlugin, Checksum, ChecksumError, ChildProcess, Command, ConnectFault,
        Event, Events, Exit, ExitReason, Generation, Handover, HandoverError, HandshakeFault, Host,
        LaunchEnvironment, LaunchError, LaunchFacts, LaunchFault, LaunchTimings, LogRecord, Managed,
        MessageLimits, NotHandedOver, Observer, Obstacle, OutputChunk, OutputOptions, OutputSource,
        OutputStream, OverflowPolicy, PingError, Plugin, PluginEvent, PluginExited, PluginId, PluginProcess,
        PluginReason, PluginSet, ProgramFault, ProgramFile, ReasonKind, Runner, SecurityFault, SetupFault,
        Signal, StartFault, StartedProcess, Stdin, Supervise, SuperviseError, Supervised, SupervisionState,
        WhileDown, Writers, discover,
    };
    pub use rpcplugin_core::Pid;
}

/// The plugin's side: serving, health, readiness, shutdown and logging.
#[cfg(feature = "server")]
pub mod plugin {
    pub use rpcplugin_server::{
        Announced, Attachable, BasicProtocol, Bound, BoxError, CustomTransport, Health, HostFacts, NotReady,
        OriginalStderr, PanicOutput, PluginContext, Protocol, RateLimit, RateLimited, Readiness, Serve,
        ServeError, Served, ServingStatus, Shutdown, ShutdownCause, hclog_layer,
    };
}

/// Settings: their values, where they come from, and the loader.
pub mod config {
    pub use rpcplugin_config::{
        ByteSize, ConfigError, Configuration, EffectiveSetting, EnvPolicy, Fault, FaultKind, Format,
        HostConfig, HostTls, Http2Config, IgnoredBecause, IgnoredVariable, KeepaliveConfig, LegacyPolicy,
        LegacySetting, Loaded, Loader, LogLevel, Origin, Pem, PluginConfig, PluginTls, PortRange,
        PortRangeError, Rate, RateLimitConfig, Rates, Registry, RegistryError, RetryConfig, SecretPem,
        Setting, Side, SupervisionConfig, TcpPort, TcpPorts, TransportKind, legacy_settings, settings,
    };
}

/// What all errors have in common: categories and reports in plain text.
pub mod error {
    pub use rpcplugin_core::{ErrorCategory, PlainReport, Visible, causes, disturbs, with_causes};
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
        Multiplexing, Negotiated, PortRange, PortRangeError, ReattachConfig, ReattachConfigs, ReattachError,
        ReceivedEnv, TcpPorts, VersionNotOffered, accept_version, check_cookie, negotiate, variable,
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

/// Streams and listeners, for custom transports and for code that connects without a [`host`].
pub mod transport {
    pub use rpcplugin_transport::{
        BindError, ConnectError, Io, Listen, Listener, MessageLimits, Route, SecureError, SecureStream,
        Security, ServiceLayer, ServiceLayers, SocketDir, SocketDirError, Stream, dial, speaks_tls,
    };

    /// gRPC over HTTP/2: a channel over a stream, and a server for incoming streams.
    pub mod http2 {
        pub use rpcplugin_transport::http2::{
            AnyBodyChannel, AnyBodyFuture, CallFuture, ChannelError, Choose, Connect, Explain, IncomingBody,
            InfallibleBody, Keepalive, PluginChannel, ResponseBody, Serving, Settings, connect, connect_lazy,
            serve,
        };
    }

    /// Many streams over one connection, for hosts and plugins that multiplex.
    pub mod yamux {
        pub use rpcplugin_transport::yamux::{Closer, Config, Error, Session, Stream};
    }
}
