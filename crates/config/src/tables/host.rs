//! What may be set on the side of a host.

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
    /// What the author or the operator of a host may set.
    ///
    /// Load it with [`Loader::host`](crate::Loader::host), or begin with [`HostConfig::default`] and change fields;
    /// [`check`](Self::check) then says whether they fit together.
    pub struct HostConfig {
        /// The time from the start of the process to a verified channel. A plugin that takes longer is killed.
        launch_timeout: Duration = "1m",
            env ["PLUGIN_LAUNCH_TIMEOUT", "PLUGIN_HANDSHAKE_TIMEOUT"], pyvider ["plugin_handshake_timeout"];
        /// The time for making the connection, TLS and HTTP/2 included, once the plugin has said where it listens.
        /// None leaves it what is left of `launch_timeout`.
        connection_timeout: Option<Duration> = "none",
            env ["PLUGIN_CONNECTION_TIMEOUT"], pyvider ["plugin_connection_timeout"];
        /// The time from the plugin's answer to a channel on which the health call succeeded. None leaves it what is
        /// left of `launch_timeout`.
        ready_timeout: Option<Duration> = "none",
            env ["PLUGIN_CHANNEL_READY_TIMEOUT"], pyvider ["plugin_channel_ready_timeout"];
        /// How often a host that waits for a start says so. 0 says nothing.
        still_waiting_interval: Duration = "5s", env ["PLUGIN_STILL_WAITING_INTERVAL"], pyvider [];
        /// How long a program file that is still being written to is tried again.
        busy_timeout: Duration = "1s", env ["PLUGIN_BUSY_TIMEOUT"], pyvider [];
        /// The time between asking a plugin to end and killing it. 0 kills it at once.
        grace: Duration = "2s", env ["PLUGIN_STOP_GRACE_PERIOD"], pyvider [];
        /// How long the call that asks a plugin to end may take.
        shutdown_timeout: Duration = "1s", env ["PLUGIN_SHUTDOWN_TIMEOUT"], pyvider [];
        /// The time between asking a plugin to end and sending it SIGTERM, which has to be less than `grace`. None
        /// sends none.
        terminate_after: Option<Duration> = "none", env ["PLUGIN_TERMINATE_AFTER"], pyvider [];
        /// How long the pipes of an ended plugin are read on. A grandchild may hold them open for ever.
        drain_timeout: Duration = "1s", env ["PLUGIN_DRAIN_TIMEOUT"], pyvider [];
        /// How long calls to the plugin's own services (health, broker) may take.
        admin_timeout: Duration = "5s", env ["PLUGIN_ADMIN_TIMEOUT"], pyvider [];
        /// The transports on which a plugin may listen. An answer that names another is refused.
        transports: Vec<TransportKind> = "unix, tcp",
            env ["PLUGIN_CLIENT_TRANSPORTS", "PLUGIN_SUPPORTED_TRANSPORTS"],
            pyvider ["plugin_client_transports", "plugin_supported_transports"];
        /// The name that a plugin's certificate must carry when `server_roots` verify it: a DNS name or an IP
        /// address. Otherwise it is only told to the plugin. None takes `localhost`, as go-plugin does.
        server_name: Option<String> = "none", env ["PLUGIN_SERVER_NAME"], pyvider [];
        /// Whether to ask that brokered connections share the main connection's socket. Plugins on old versions of
        /// go-plugin, and those of pyvider, cannot.
        multiplex: bool = "false", env ["PLUGIN_MULTIPLEX_GRPC"], pyvider [];
        /// The directory in which plugins make their Unix sockets. None makes a private one.
        unix_socket_dir: Option<PathBuf> = "none", env ["PLUGIN_UNIX_SOCKET_DIR"], pyvider [];
        /// The group, by name or number, that may connect to plugins' Unix sockets. None lets only the same user.
        unix_socket_group: Option<String> = "none", env ["PLUGIN_UNIX_SOCKET_GROUP"], pyvider [];
        /// Whether a plugin must answer a health call before it counts as started. Without it the connection alone
        /// has to stand.
        health_check: bool = "true", env ["PLUGIN_HEALTH_CHECK"], pyvider [];
        /// The largest message that the host accepts, as it is on the wire: in answers on every channel, and in calls of its
        /// callbacks and of what it serves through the broker. A larger one ends its call with `RESOURCE_EXHAUSTED`. None
        /// leaves the 2 GiB that a message can have.
        max_receive_message_size: Option<ByteSize> = "none",
            env ["PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE"], pyvider ["plugin_grpc_max_receive_message_size"];
        /// The largest message that the host sends: in answers of its callbacks and of what it serves through the broker, and
        /// by clients that are told in the same way. None is no limit of the host's; a plugin may accept less.
        max_send_message_size: Option<ByteSize> = "none",
            env ["PLUGIN_GRPC_MAX_SEND_MESSAGE_SIZE"], pyvider ["plugin_grpc_max_send_message_size"];
        /// How long each side of a brokered connection waits for the other.
        broker_timeout: Duration = "5s", env ["PLUGIN_BROKER_TIMEOUT"], pyvider [];
        /// How many lines on a plugin's standard output are passed over before its answer. 0 takes the first line
        /// for the answer, as go-plugin does; more forgives a plugin that prints a banner.
        stray_lines: usize = "0", env ["PLUGIN_STRAY_LINES"], pyvider [];
        /// The longest answer accepted from a plugin.
        handshake_line_limit: ByteSize = "64KiB", env ["PLUGIN_HANDSHAKE_LINE_LIMIT"], pyvider [];
        /// The longest line of a plugin's output kept in one piece; the rest follows as continuations.
        log_line_limit: ByteSize = "64KiB", env ["PLUGIN_LOG_LINE_LIMIT"], pyvider [];
        /// Whether warnings, errors and panics in a plugin's log are printed on the host's standard error where nothing else
        /// takes them: neither a tracing subscriber nor an observer.
        print_logs: bool = "true", env ["PLUGIN_PRINT_LOGS"], pyvider [];
        /// How many of the last lines on a plugin's standard error are kept for errors.
        stderr_tail_lines: usize = "50", env ["PLUGIN_STDERR_TAIL_LINES"], pyvider [];
        /// How many of the last bytes on a plugin's standard error are kept for errors.
        stderr_tail_bytes: ByteSize = "16KiB", env ["PLUGIN_STDERR_TAIL_BYTES"], pyvider [];
        /// Which variables of the host's own environment a plugin inherits.
        inherit_env: EnvPolicy = "inherit", env ["PLUGIN_INHERIT_ENV"], pyvider [];
        /// Whether plugins die with the host, however it dies. Without it a killed host leaves them running.
        die_with_host: bool = "true", env ["PLUGIN_DIE_WITH_HOST"], pyvider [];
        /// The time between the death of the host and the killing of its plugins, which are asked to end first. 0 kills
        /// them at once. Without `die_with_host` it has no effect.
        orphan_grace: Duration = "2s", env ["PLUGIN_ORPHAN_GRACE"], pyvider [];
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
        /// How a supervised plugin that died is started again.
        supervision: SupervisionConfig;
    }
    optional {
        /// The variable, and its value, by which a plugin knows that a host started it.
        magic_cookie: MagicCookie;
    }
    switchable {
        /// Pings on an idle connection. Setting any part of it switches it on, unless the switch itself is
        /// set to false.
        keepalive: KeepaliveConfig, env ["PLUGIN_GRPC_KEEPALIVE_ENABLED"], pyvider [];
        /// Further tries of a start that failed. Setting any part of it switches it on, unless the
        /// switch itself is set to false.
        retry: RetryConfig,
            env ["PLUGIN_CLIENT_RETRY_ENABLED"], pyvider ["plugin_client_retry_enabled"];
    }
}
