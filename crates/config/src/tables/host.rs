//! The settings of a host.

use std::{path::PathBuf, time::Duration};

use rpcplugin_core::{MagicCookie, TcpPorts};

use super::{
    groups::{Http2Config, KeepaliveConfig, RetryConfig, SupervisionConfig},
    tls::HostTls,
};
use crate::{
    schema::table,
    value::{ByteSize, EnvPolicy, TransportKind},
};

table! {
    /// The settings of a host, for its author and its operator.
    ///
    /// Load them with [`Loader::host`](crate::Loader::host), or start from [`HostConfig::default`] and change fields.
    /// [`check`](Self::check) validates a configuration that was made in code.
    pub struct HostConfig {
        /// Timeout of a launch, from the start of the process to a verified channel. A plugin that takes longer is killed.
        launch_timeout: Duration = "1m",
            env ["PLUGIN_LAUNCH_TIMEOUT", "PLUGIN_HANDSHAKE_TIMEOUT"], pyvider ["plugin_handshake_timeout"];
        /// Timeout of the connection, including TLS and HTTP/2. It starts when the plugin has printed its handshake line. With
        /// `none` only `launch_timeout` applies.
        connection_timeout: Option<Duration> = "none",
            env ["PLUGIN_CONNECTION_TIMEOUT"], pyvider ["plugin_connection_timeout"];
        /// Timeout from the handshake line to a successful health call. With `none` only `launch_timeout` applies.
        ready_timeout: Option<Duration> = "none",
            env ["PLUGIN_CHANNEL_READY_TIMEOUT"], pyvider ["plugin_channel_ready_timeout"];
        /// Interval of the log messages that a launch still waits for its plugin. 0 logs none.
        still_waiting_interval: Duration = "5s", env ["PLUGIN_STILL_WAITING_INTERVAL"], pyvider [];
        /// How long a launch retries while the program file is being written to ("text file busy").
        busy_timeout: Duration = "1s", env ["PLUGIN_BUSY_TIMEOUT"], pyvider [];
        /// Time between the request to shut down and the kill of a plugin that has not exited. 0 kills the plugin at once.
        grace: Duration = "2s", env ["PLUGIN_STOP_GRACE_PERIOD"], pyvider [];
        /// Timeout of the call that requests a plugin to shut down.
        shutdown_timeout: Duration = "1s", env ["PLUGIN_SHUTDOWN_TIMEOUT"], pyvider [];
        /// Time between the request to shut down and SIGTERM. It must not exceed `grace`. With `none` no SIGTERM is sent.
        terminate_after: Option<Duration> = "none", env ["PLUGIN_TERMINATE_AFTER"], pyvider [];
        /// How long the host keeps reading the output of a plugin that has exited. A process that the plugin started may keep
        /// the pipes open.
        drain_timeout: Duration = "1s", env ["PLUGIN_DRAIN_TIMEOUT"], pyvider [];
        /// Timeout of calls to the plugin's built-in services, such as health and broker.
        admin_timeout: Duration = "5s", env ["PLUGIN_ADMIN_TIMEOUT"], pyvider [];
        /// The transports on which a plugin may listen. A handshake line with another transport is refused.
        transports: Vec<TransportKind> = "unix, tcp",
            env ["PLUGIN_CLIENT_TRANSPORTS", "PLUGIN_SUPPORTED_TRANSPORTS"],
            pyvider ["plugin_client_transports", "plugin_supported_transports"];
        /// The name that a plugin's certificate must carry when `server_roots` verify it: a DNS name or an IP address. Without
        /// `server_roots` the name is only sent to the plugin. `none` stands for `localhost`, as in go-plugin.
        server_name: Option<String> = "none", env ["PLUGIN_SERVER_NAME"], pyvider [];
        /// Whether to request that brokered connections share the main connection's socket. Plugins of pyvider and of old
        /// versions of go-plugin do not support it.
        multiplex: bool = "false", env ["PLUGIN_MULTIPLEX_GRPC"], pyvider [];
        /// Whether to offer child processes a connection that they inherit, in place of one that they listen for. There is then no
        /// socket file, no port and no certificate, and only the two processes can use the connection. It takes the place of
        /// AutoMTLS. Plugins that are not made with rpcplugin do not take the offer, and nor does any plugin on a system other than
        /// Linux: they listen as usual. The plugin's stdout is a socket in place of a pipe. The setting has no effect without
        /// `die_with_host`, and none with certificates from `certificate` or `server_roots`.
        inherit_connection: bool = "false", env ["PLUGIN_INHERIT_CONNECTION"], pyvider [];
        /// Whether calls to child processes use the lane in place of HTTP/2: frames of this library, with which a small call takes less
        /// processor time. Plugins that are not made with rpcplugin, or with another version of the lane, use HTTP/2, as do
        /// connections that a plugin opens and hosts that attach.
        lane: bool = "true", env ["PLUGIN_LANE"], pyvider [];
        /// The directory in which plugins create their Unix sockets. With `none` each plugin gets a private directory.
        unix_socket_dir: Option<PathBuf> = "none", env ["PLUGIN_UNIX_SOCKET_DIR"], pyvider [];
        /// The group, by name or number, that may connect to plugins' Unix sockets. With `none` only the same user may.
        unix_socket_group: Option<String> = "none", env ["PLUGIN_UNIX_SOCKET_GROUP"], pyvider [];
        /// Whether a launch requires a successful health call. With `false` the connection is enough.
        health_check: bool = "true", env ["PLUGIN_HEALTH_CHECK"], pyvider [];
        /// The largest message that the host receives, as encoded on the wire. The limit applies to responses on every channel,
        /// and to requests to the host's own services. A larger message ends its call with `RESOURCE_EXHAUSTED`. `none` leaves
        /// gRPC's limit of 2 GiB.
        max_receive_message_size: Option<ByteSize> = "none",
            env ["PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE"], pyvider ["plugin_grpc_max_receive_message_size"];
        /// The largest message that the host sends. The limit applies to responses of the host's own services, and to clients
        /// that are created with it. With `none` the host has no limit; a plugin may still refuse a message.
        max_send_message_size: Option<ByteSize> = "none",
            env ["PLUGIN_GRPC_MAX_SEND_MESSAGE_SIZE"], pyvider ["plugin_grpc_max_send_message_size"];
        /// How long each side of a brokered connection waits for the other.
        broker_timeout: Duration = "5s", env ["PLUGIN_BROKER_TIMEOUT"], pyvider [];
        /// How many lines on a plugin's stdout may come before its handshake line. With 0 the first line must be the handshake
        /// line, as in go-plugin. A larger number permits a plugin that prints a banner.
        stray_lines: usize = "0", env ["PLUGIN_STRAY_LINES"], pyvider [];
        /// The longest handshake line that is accepted.
        handshake_line_limit: ByteSize = "64KiB", env ["PLUGIN_HANDSHAKE_LINE_LIMIT"], pyvider [];
        /// The longest line of a plugin's output that stays one log record. The rest of a longer line follows in further
        /// records.
        log_line_limit: ByteSize = "64KiB", env ["PLUGIN_LOG_LINE_LIMIT"], pyvider [];
        /// Whether warnings, errors and panics in a plugin's log are printed on the host's stderr. They are printed only if
        /// neither a tracing subscriber nor an observer receives them.
        print_logs: bool = "true", env ["PLUGIN_PRINT_LOGS"], pyvider [];
        /// How many of the last lines on a plugin's stderr are kept for error reports.
        stderr_tail_lines: usize = "50", env ["PLUGIN_STDERR_TAIL_LINES"], pyvider [];
        /// How many of the last bytes on a plugin's stderr are kept for error reports.
        stderr_tail_bytes: ByteSize = "16KiB", env ["PLUGIN_STDERR_TAIL_BYTES"], pyvider [];
        /// Which variables of the host's environment a plugin inherits.
        inherit_env: EnvPolicy = "inherit", env ["PLUGIN_INHERIT_ENV"], pyvider [];
        /// Whether a watchdog ends the plugins when the host exits for any reason, SIGKILL included. With `false` the plugins of
        /// a killed host keep running.
        die_with_host: bool = "true", env ["PLUGIN_DIE_WITH_HOST"], pyvider [];
        /// Time between the exit of the host and the kill of its plugins. The watchdog requests them to shut down first. 0 kills
        /// them at once. The setting has no effect without `die_with_host`, and none on Windows, where the system kills them at
        /// once.
        orphan_grace: Duration = "2s", env ["PLUGIN_ORPHAN_GRACE"], pyvider [];
        /// How long a plugin that is not a child process serves while no host is connected to it: in a container, in a pod or on
        /// another machine. Such a plugin does not notice the exit of its host. The host passes the time on to the plugin, which
        /// shuts down by itself. The time also limits how long a plugin that was handed over waits for the next host. 0 sets no
        /// limit. The setting has no effect without `die_with_host`, on child processes, and on plugins that are not made with
        /// rpcplugin.
        orphan_timeout: Duration = "1m", env ["PLUGIN_ORPHAN_TIMEOUT"], pyvider [];
    }
    joined {
        /// How the connections with plugins are secured.
        ///
        /// Default: [`HostTls::AUTO`]. Settings: `auto_mtls`, `certificate`, `private_key`, `server_roots`.
        tls: HostTls;
        /// The TCP ports on which plugins may listen.
        ///
        /// Default: [`TcpPorts::GO_DEFAULT`]. Settings: `min_port`, `max_port`.
        tcp_ports: TcpPorts;
    }
    groups {
        /// HTTP/2 windows and limits.
        http2: Http2Config;
        /// When and how a supervised plugin is restarted.
        supervision: SupervisionConfig;
    }
    optional {
        /// The magic cookie: the variable, and its value, by which a plugin knows that a host launched it.
        magic_cookie: MagicCookie;
    }
    switchable {
        /// Pings on an idle connection. Any setting of the group switches the pings on, unless `keepalive.enabled` is `false`.
        keepalive: KeepaliveConfig, env ["PLUGIN_GRPC_KEEPALIVE_ENABLED"], pyvider [];
        /// Retries of a failed launch. Any setting of the group switches the retries on, unless `retry.enabled` is `false`.
        retry: RetryConfig,
            env ["PLUGIN_CLIENT_RETRY_ENABLED"], pyvider ["plugin_client_retry_enabled"];
    }
}
