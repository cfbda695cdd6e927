//! Groups of settings.

use std::time::Duration;

use crate::{
    schema::table,
    value::{ByteSize, Rates},
};

table! {
    /// HTTP/2 windows and limits of one side of a connection.
    ///
    /// The defaults suit two processes on one machine.
    pub struct Http2Config {
        /// How many unread bytes a peer may send on one stream. A smaller window costs round trips on large messages. A larger
        /// window lets an unread stream hold more memory.
        stream_window: ByteSize = "8MiB", env ["PLUGIN_HTTP2_STREAM_WINDOW"], pyvider [];
        /// How many unread bytes a peer may send on all streams of a connection together. The default is the largest window that
        /// HTTP/2 allows: unread streams use up a smaller one, and then no call of the connection proceeds.
        connection_window: ByteSize = "2147483647", env ["PLUGIN_HTTP2_CONNECTION_WINDOW"], pyvider [];
        /// The largest frame that is accepted, from 16 KiB to just below 16 MiB.
        max_frame: ByteSize = "256KiB", env ["PLUGIN_HTTP2_MAX_FRAME"], pyvider [];
        /// The largest set of headers that is accepted with one call: names, values and 32 bytes for each header. A call with a
        /// larger set fails with `RESOURCE_EXHAUSTED`. A set of more than four times the limit closes the connection.
        max_headers: ByteSize = "1MiB", env ["PLUGIN_HTTP2_MAX_HEADERS"], pyvider [];
        /// Timeout of a peer's TLS handshake and its first bytes of HTTP/2.
        handshake_timeout: Duration = "20s", env ["PLUGIN_HTTP2_HANDSHAKE_TIMEOUT"], pyvider [];
    }
}

table! {
    /// Limits of the rate of calls to a plugin.
    ///
    /// A call above the limit fails with `RESOURCE_EXHAUSTED` and a hint when to retry. Calls to health, controller, stdio, broker
    /// and reflection are not limited.
    pub struct RateLimitConfig {
        /// Calls per second in the long run. More than 0.
        requests_per_second: f64 = "100",
            env ["PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND"], pyvider ["plugin_rate_limit_requests_per_second"];
        /// Calls that may come at once after an idle time. At least 1.
        burst_capacity: u32 = "200",
            env ["PLUGIN_RATE_LIMIT_BURST_CAPACITY"], pyvider ["plugin_rate_limit_burst_capacity"];
        /// Further limits for single services.
        per_service: Rates = "none", env ["PLUGIN_RATE_LIMIT_PER_SERVICE"], pyvider [];
        /// Further limits for single methods, such as `kv.KV/Get`.
        per_method: Rates = "none", env ["PLUGIN_RATE_LIMIT_PER_METHOD"], pyvider [];
    }
}

table! {
    /// Pings by which a host detects a dead connection.
    ///
    /// On one machine pings are not needed: the exit of a process closes its connections. Plugins built on Go or on gRPC C-core
    /// close the connection of a host that pings more often than every five minutes.
    pub struct KeepaliveConfig {
        /// Interval of the pings. Less than five minutes is refused unless `permitted` is `true`.
        interval: Duration = "5m",
            env ["PLUGIN_GRPC_KEEPALIVE_TIME_MS"], pyvider ["plugin_grpc_keepalive_time_ms"];
        /// How long a ping may stay unanswered before the connection counts as dead.
        timeout: Duration = "20s",
            env ["PLUGIN_GRPC_KEEPALIVE_TIMEOUT_MS"], pyvider ["plugin_grpc_keepalive_timeout_ms"];
        /// Whether all plugins permit pings more often than every five minutes.
        permitted: bool = "false", env ["PLUGIN_GRPC_KEEPALIVE_PERMITTED"], pyvider [];
    }
}

table! {
    /// Retries of a failed launch, and the pauses between them. Each pause is longer than the one before.
    ///
    /// Only a failure that may pass is retried: never a wrong cookie, a missing file or a refused certificate.
    pub struct RetryConfig {
        /// How many times a failed launch is retried. 0 launches once only.
        max_retries: u32 = "3", env ["PLUGIN_CLIENT_MAX_RETRIES"], pyvider ["plugin_client_max_retries"];
        /// The pause before the first retry.
        initial: Duration = "100ms",
            env ["PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "PLUGIN_CLIENT_RETRY_DELAY"],
            pyvider ["plugin_client_initial_backoff_ms", "plugin_client_retry_delay"];
        /// The factor from one pause to the next. At least 1.
        multiplier: f64 = "2",
            env ["PLUGIN_CLIENT_BACKOFF_MULTIPLIER"], pyvider ["plugin_client_backoff_multiplier"];
        /// The longest pause.
        max: Duration = "5s",
            env ["PLUGIN_CLIENT_MAX_BACKOFF_MS", "PLUGIN_CLIENT_MAX_RETRY_DELAY"],
            pyvider ["plugin_client_max_backoff_ms", "plugin_client_max_retry_delay"];
        /// The largest random addition to a pause, so that many hosts do not retry at the same moment.
        jitter: Duration = "50ms",
            env ["PLUGIN_CLIENT_RETRY_JITTER_MS"], pyvider ["plugin_client_retry_jitter_ms"];
        /// Timeout of all launches and pauses together.
        total: Duration = "30s",
            env ["PLUGIN_CLIENT_RETRY_TOTAL_TIMEOUT_S"], pyvider ["plugin_client_retry_total_timeout_s"];
    }
}

table! {
    /// When and how a supervised plugin is restarted.
    pub struct SupervisionConfig {
        /// How many restarts are made within `window` before the supervision gives up. 0 never restarts.
        max_restarts: u32 = "5", env ["PLUGIN_RESTART_MAX"], pyvider [];
        /// The time over which restarts are counted.
        window: Duration = "1m", env ["PLUGIN_RESTART_WINDOW"], pyvider [];
        /// The pause before the first restart. Each further restart within `window` has a longer pause.
        initial: Duration = "100ms", env ["PLUGIN_RESTART_INITIAL_BACKOFF"], pyvider [];
        /// The factor from one pause to the next. At least 1.
        multiplier: f64 = "2", env ["PLUGIN_RESTART_BACKOFF_MULTIPLIER"], pyvider [];
        /// The longest pause.
        max: Duration = "10s", env ["PLUGIN_RESTART_MAX_BACKOFF"], pyvider [];
        /// Interval of the health calls to the running plugin. With `none` no health calls are made: the supervision detects an
        /// exit, but not a plugin that hangs.
        probe_interval: Option<Duration> = "none", env ["PLUGIN_PROBE_INTERVAL"], pyvider [];
        /// Timeout of a health call. A plugin that does not respond in time counts as hanging and is killed.
        probe_timeout: Duration = "5s", env ["PLUGIN_PROBE_TIMEOUT"], pyvider [];
    }
}
