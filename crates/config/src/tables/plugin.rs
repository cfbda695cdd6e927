//! The settings of a plugin.

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
    /// The settings of a plugin, for its author and its operator.
    ///
    /// Load them with [`Loader::plugin`](crate::Loader::plugin), or start from [`PluginConfig::default`] and change fields.
    /// [`check`](Self::check) validates a configuration that was made in code.
    ///
    /// The variables of the handshake, such as `PLUGIN_PROTOCOL_VERSIONS`, `PLUGIN_MIN_PORT` or `PLUGIN_CLIENT_CERT`, are not
    /// settings of a plugin. They are not read here.
    pub struct PluginConfig {
        /// The transports on which the plugin listens. The first that this platform supports is used: on Windows this is TCP. A
        /// plugin on another system falls back from a Unix socket to TCP only under mutual TLS: in plain text every user of the
        /// machine could connect to a port.
        transports: Vec<TransportKind> = "unix, tcp",
            env ["PLUGIN_SERVER_TRANSPORTS", "PLUGIN_SUPPORTED_TRANSPORTS"],
            pyvider ["plugin_server_transports", "plugin_supported_transports"];
        /// The path of the Unix socket. With `none` the plugin creates a socket in the directory that the host names, or in a
        /// private one. A stale socket at the path is replaced. A live socket and any other file are an error.
        unix_socket_path: Option<PathBuf> = "none",
            env ["PLUGIN_SERVER_UNIX_SOCKET_PATH"], pyvider ["plugin_server_unix_socket_path"];
        /// The IP address on which the plugin listens if it uses TCP. An address other than loopback opens the plugin to the
        /// network, where only mutual TLS protects it.
        tcp_host: IpAddr = "127.0.0.1", env ["PLUGIN_SERVER_HOST"], pyvider ["plugin_server_host"];
        /// The TCP port on which the plugin listens. `none` takes a free port of the range that the host names. If the host names
        /// no range, it takes any free port, and on Windows one from 10000 to 25000, as plugins of go-plugin do. `0` takes any free
        /// port, whatever the host names. Brokered services listen on the host's range too: the range needs room for them.
        tcp_port: TcpPort = "none", env ["PLUGIN_SERVER_PORT"], pyvider ["plugin_server_port"];
        /// Whether to serve the health service. Without it the ping of a go-plugin host fails.
        health: bool = "true",
            env ["PLUGIN_HEALTH_SERVICE_ENABLED"], pyvider ["plugin_health_service_enabled"];
        /// Whether to serve the reflection service, by which tools list the plugin's services.
        reflection: bool = "true", env ["PLUGIN_REFLECTION_ENABLED"], pyvider [];
        /// Whether to forward the plugin's stdout and stderr to the host over `GRPCStdio`. The plugin captures file descriptors
        /// 1 and 2. With `false` both descriptors stay unchanged.
        capture_output: bool = "true", env ["PLUGIN_CAPTURE_OUTPUT"], pyvider [];
        /// How many bytes of captured output the plugin keeps for a host that does not read them yet.
        output_buffer: ByteSize = "1MiB", env ["PLUGIN_OUTPUT_BUFFER"], pyvider [];
        /// How long a write to captured output blocks while the buffer is full and the host does not read. Then the oldest output
        /// is dropped. 0 drops output at once and never blocks the plugin.
        output_timeout: Duration = "5s", env ["PLUGIN_OUTPUT_TIMEOUT"], pyvider [];
        /// How long calls in flight and shutdown hooks may take after the request to shut down. 0 cancels them at once. The
        /// delivery of captured output to the host may take another half second. A go-plugin host kills a plugin two seconds
        /// after its request.
        grace: Duration = "1s",
            env ["PLUGIN_GRPC_GRACE_PERIOD", "PLUGIN_TIMEOUT_GRACEFUL_SHUTDOWN"],
            pyvider ["plugin_grpc_grace_period"];
        /// Timeout of `Readiness::wait`, which waits until the plugin serves. `Readiness::wait_for` takes a timeout of its own.
        ready_timeout: Duration = "5s",
            env ["PLUGIN_SERVER_READY_TIMEOUT"], pyvider ["plugin_server_ready_timeout"];
        /// Whether to ignore SIGINT, and on Windows Ctrl-C. Ctrl-C at a terminal reaches the host's plugins too, and the host then
        /// shuts them down.
        ignore_sigint: bool = "true", env ["PLUGIN_IGNORE_SIGINT"], pyvider ["plugin_ignore_sigint"];
        /// A file whose appearance shuts the plugin down. The plugin then removes the file.
        shutdown_file: Option<PathBuf> = "none",
            env ["PLUGIN_SHUTDOWN_FILE_PATH"], pyvider ["plugin_shutdown_file_path"];
        /// Whether the plugin shuts down when its host exits. With `false` the plugin keeps running.
        exit_with_host: bool = "true", env ["PLUGIN_EXIT_WITH_HOST"], pyvider [];
        /// The largest message that the plugin receives, as encoded on the wire. The limit applies to its services and to those
        /// that it serves through the broker. A larger message ends its call with `RESOURCE_EXHAUSTED`. `none` leaves gRPC's
        /// limit of 2 GiB.
        max_receive_message_size: Option<ByteSize> = "none",
            env ["PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE"], pyvider ["plugin_grpc_max_receive_message_size"];
        /// The largest message that the plugin sends. With `none` the plugin has no limit. A host may still refuse a message: a
        /// host of pyvider receives up to 4 MiB.
        max_send_message_size: Option<ByteSize> = "none",
            env ["PLUGIN_GRPC_MAX_SEND_MESSAGE_SIZE"], pyvider ["plugin_grpc_max_send_message_size"];
        /// How long each side of a brokered connection waits for the other.
        broker_timeout: Duration = "5s", env ["PLUGIN_BROKER_TIMEOUT"], pyvider [];
        /// How many threads serve calls, if the library creates the runtime. Each thread costs memory. More threads than
        /// processors gain nothing.
        workers: usize = "1", env ["PLUGIN_WORKERS"], pyvider [];
        /// The minimum level of the records that the plugin logs.
        log_level: LogLevel = "info", env ["PLUGIN_LOG_LEVEL"], pyvider ["plugin_log_level"];
        /// The protocol versions that the plugin may serve, out of those that it implements. `none` serves all of them.
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
        /// The magic cookie: the variable, and its value, by which the plugin knows that a host launched it.
        magic_cookie: MagicCookie;
    }
    switchable {
        /// Limits of the rate of calls. Any setting of the group switches the limits on, unless `rate_limit.enabled` is `false`.
        rate_limit: RateLimitConfig,
            env ["PLUGIN_RATE_LIMIT_ENABLED"], pyvider ["plugin_rate_limit_enabled"];
    }
}
