//! What may be set on the side of a plugin.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use rpcplugin_core::{MagicCookie, Versions};

use super::{
    groups::{Http2Config, RateLimitConfig},
    tls::PluginTls,
};
use crate::{
    schema::table,
    value::{ByteSize, LogLevel, TcpPort, TransportKind},
};

table! {
    /// What the author or the operator of a plugin may set.
    ///
    /// Load it with [`Loader::plugin`](crate::Loader::plugin), or begin with [`PluginConfig::default`] and change
    /// fields; [`check`](Self::check) then says whether they fit together.
    ///
    /// The variables by which a host makes its offer, such as `PLUGIN_PROTOCOL_VERSIONS`, `PLUGIN_MIN_PORT` or
    /// `PLUGIN_CLIENT_CERT`, are no settings of a plugin and not looked at here.
    pub struct PluginConfig {
        /// The transports to listen on, the preferred one first: the first that works on this platform is used.
        /// With one only, a plugin that cannot have it fails to start. A Unix socket is given up for TCP only under
        /// mutual TLS: in plain text a port would be open to every user of the machine.
        transports: Vec<TransportKind> = "unix, tcp",
            env ["PLUGIN_SERVER_TRANSPORTS", "PLUGIN_SUPPORTED_TRANSPORTS"],
            pyvider ["plugin_server_transports", "plugin_supported_transports"];
        /// The path of the Unix socket. None makes a fresh one in a private directory, or in the one that the host
        /// names. A stale socket at the path is replaced; a live one, or any other file, is an error.
        unix_socket_path: Option<PathBuf> = "none",
            env ["PLUGIN_SERVER_UNIX_SOCKET_PATH"], pyvider ["plugin_server_unix_socket_path"];
        /// The address to listen on where TCP is used. Any other than a loopback address opens the plugin to the
        /// network, where only mutual TLS protects it.
        tcp_host: IpAddr = "127.0.0.1", env ["PLUGIN_SERVER_HOST"], pyvider ["plugin_server_host"];
        /// The TCP port to listen on. None takes a free one from the range that the host offers, and any free one if
        /// it offers none; 0 takes any free one, whatever the host offers. Brokered services listen on the host's range
        /// too, if it offers one: it needs room for them.
        tcp_port: TcpPort = "none", env ["PLUGIN_SERVER_PORT"], pyvider ["plugin_server_port"];
        /// Whether the health service is served. Without it a go-plugin host's ping fails.
        health: bool = "true",
            env ["PLUGIN_HEALTH_SERVICE_ENABLED"], pyvider ["plugin_health_service_enabled"];
        /// Whether the reflection service is served, by which tools list what a plugin can do.
        reflection: bool = "true", env ["PLUGIN_REFLECTION_ENABLED"], pyvider [];
        /// Whether what the plugin writes to its standard output and error is forwarded to the host over
        /// `GRPCStdio`, at the level of descriptors 1 and 2. Without it both stay what they were.
        capture_output: bool = "true", env ["PLUGIN_CAPTURE_OUTPUT"], pyvider [];
        /// How many bytes of captured output are kept for a host that does not read them yet. Less means that output
        /// waits or is lost sooner.
        output_buffer: ByteSize = "1MiB", env ["PLUGIN_OUTPUT_BUFFER"], pyvider [];
        /// How long a write to captured output may be held up by a host that is attached but does not read, before
        /// the oldest output is dropped. 0 drops at once, and never holds the plugin up.
        output_timeout: Duration = "5s", env ["PLUGIN_OUTPUT_TIMEOUT"], pyvider [];
        /// How long calls under way and end hooks may take once the plugin is asked to end. 0 cuts them off. What was
        /// printed has another half second to reach the host. A go-plugin host kills a plugin two seconds after it asked.
        grace: Duration = "1s",
            env ["PLUGIN_GRPC_GRACE_PERIOD", "PLUGIN_TIMEOUT_GRACEFUL_SHUTDOWN"],
            pyvider ["plugin_grpc_grace_period"];
        /// How long `Readiness::wait` waits for the plugin to serve; `Readiness::wait_for` names a time of its own.
        ready_timeout: Duration = "5s",
            env ["PLUGIN_SERVER_READY_TIMEOUT"], pyvider ["plugin_server_ready_timeout"];
        /// Whether SIGINT is ignored. A Ctrl-C at a terminal reaches the plugins of a go-plugin host too; the host then
        /// ends them in good order.
        ignore_sigint: bool = "true", env ["PLUGIN_IGNORE_SIGINT"], pyvider ["plugin_ignore_sigint"];
        /// A file whose appearance ends the plugin in good order. The file is removed then.
        shutdown_file: Option<PathBuf> = "none",
            env ["PLUGIN_SHUTDOWN_FILE_PATH"], pyvider ["plugin_shutdown_file_path"];
        /// Whether the plugin ends when the host's process dies. Without it, it stays until somebody ends it.
        exit_with_host: bool = "true", env ["PLUGIN_EXIT_WITH_HOST"], pyvider [];
        /// The largest message that is accepted, as it is on the wire, by the plugin's services and by those that it serves
        /// through the broker. A larger one ends its call with `RESOURCE_EXHAUSTED`. None leaves the 2 GiB that a message can
        /// have.
        max_receive_message_size: Option<ByteSize> = "none",
            env ["PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE"], pyvider ["plugin_grpc_max_receive_message_size"];
        /// The largest message that is sent. None sends any; a host may accept less, one of pyvider 4 MiB.
        max_send_message_size: Option<ByteSize> = "none",
            env ["PLUGIN_GRPC_MAX_SEND_MESSAGE_SIZE"], pyvider ["plugin_grpc_max_send_message_size"];
        /// How long each side of a brokered connection waits for the other.
        broker_timeout: Duration = "5s", env ["PLUGIN_BROKER_TIMEOUT"], pyvider [];
        /// How many threads serve calls, where the facade makes the runtime. Each costs memory; more than there are
        /// processors gains nothing.
        workers: usize = "1", env ["PLUGIN_WORKERS"], pyvider [];
        /// The least grave records that the plugin logs.
        log_level: LogLevel = "info", env ["PLUGIN_LOG_LEVEL"], pyvider ["plugin_log_level"];
        /// The versions of the application's protocol that may be served, of those that the plugin has. None serves
        /// all of them.
        supported_versions: Option<Versions> = "none",
            env ["SUPPORTED_PROTOCOL_VERSIONS"], pyvider ["supported_protocol_versions"];
    }
    joined {
        /// How the connections with the host are secured.
        ///
        /// Default: [`PluginTls::AUTO`]. Settings: `auto_mtls`, `certificate`, `private_key`, `client_roots`.
        tls: PluginTls;
    }
    groups {
        /// HTTP/2 windows and limits.
        http2: Http2Config;
    }
    optional {
        /// The variable, and its value, by which the plugin knows that a host started it.
        magic_cookie: MagicCookie;
    }
    switchable {
        /// How many calls are let through. Setting any part of it switches it on, unless the
        /// switch itself is set to false.
        rate_limit: RateLimitConfig,
            env ["PLUGIN_RATE_LIMIT_ENABLED"], pyvider ["plugin_rate_limit_enabled"];
    }
}
