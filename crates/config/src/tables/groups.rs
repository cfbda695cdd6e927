//! Settings that belong together.

use std::time::Duration;

use crate::{
    schema::table,
    value::{ByteSize, Rates},
};

table! {
    /// HTTP/2 windows and limits of one side of a connection.
    ///
    /// The defaults suit two processes on one machine: memory is near, and there is no slow network to protect.
    pub struct Http2Config {
        /// How many bytes a peer may send on one stream before they are read. Less costs round trips on large
        /// messages; more lets an unread stream hold more memory.
        stream_window: ByteSize = "8MiB", env ["PLUGIN_HTTP2_STREAM_WINDOW"], pyvider [];
        /// How many bytes a peer may send on all streams of a connection together before they are read. The default is
        /// the most there is: streams that nobody reads use up less, and then no call of the connection goes on.
        connection_window: ByteSize = "2147483647", env ["PLUGIN_HTTP2_CONNECTION_WINDOW"], pyvider [];
        /// The largest frame accepted, from 16 KiB to just below 16 MiB.
        max_frame: ByteSize = "256KiB", env ["PLUGIN_HTTP2_MAX_FRAME"], pyvider [];
        /// The largest set of headers of one call accepted, in whatever frames they come: names, values and 32 bytes for each.
        /// A call with longer ones fails with `RESOURCE_EXHAUSTED`; those above four times as long end the connection.
        max_headers: ByteSize = "1MiB", env ["PLUGIN_HTTP2_MAX_HEADERS"], pyvider [];
        /// How long a peer may take for TLS and the first bytes of HTTP/2.
        handshake_timeout: Duration = "20s", env ["PLUGIN_HTTP2_HANDSHAKE_TIMEOUT"], pyvider [];
    }
}

table! {
    /// How many calls a plugin lets through; the others fail with `RESOURCE_EXHAUSTED` and a hint when to come back.
    ///
    /// Health, controller, stdio, broker and reflection are never limited.
    pub struct RateLimitConfig {
        /// Calls a second, in the long run. Above 0.
        requests_per_second: f64 = "100",
            env ["PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND"], pyvider ["plugin_rate_limit_requests_per_second"];
        /// Calls let through at once after a quiet time. At least 1.
        burst_capacity: u32 = "200",
            env ["PLUGIN_RATE_LIMIT_BURST_CAPACITY"], pyvider ["plugin_rate_limit_burst_capacity"];
        /// Rates of single services, each on top of the rate of all calls.
        per_service: Rates = "none", env ["PLUGIN_RATE_LIMIT_PER_SERVICE"], pyvider [];
        /// Rates of single methods, such as `kv.KV/Get`, each on top of the others.
        per_method: Rates = "none", env ["PLUGIN_RATE_LIMIT_PER_METHOD"], pyvider [];
    }
}

table! {
    /// Pings by which a host notices a connection that has died without a word.
    ///
    /// On one machine there is no such connection: a process that ends closes it. Plugins built on Go or on gRPC
    /// C-core hang up on a host that pings more often than every five minutes.
    pub struct KeepaliveConfig {
        /// The time between pings. Less than five minutes is refused unless `permitted` is set.
        interval: Duration = "5m",
            env ["PLUGIN_GRPC_KEEPALIVE_TIME_MS"], pyvider ["plugin_grpc_keepalive_time_ms"];
        /// How long a ping may stay unanswered before the connection counts as dead.
        timeout: Duration = "20s",
            env ["PLUGIN_GRPC_KEEPALIVE_TIMEOUT_MS"], pyvider ["plugin_grpc_keepalive_timeout_ms"];
        /// Whether all plugins are known to permit pings more often than every five minutes.
        permitted: bool = "false", env ["PLUGIN_GRPC_KEEPALIVE_PERMITTED"], pyvider [];
    }
}

table! {
    /// How often, and after what pauses, a failed start is tried again. Each pause is longer than the one before.
    ///
    /// Only what may succeed the next time is tried again: never a wrong cookie, a missing file or a refused
    /// certificate.
    pub struct RetryConfig {
        /// How many times a failed start is tried again. 0 tries once only.
        max_retries: u32 = "3", env ["PLUGIN_CLIENT_MAX_RETRIES"], pyvider ["plugin_client_max_retries"];
        /// The pause before the first further try.
        initial: Duration = "100ms",
            env ["PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "PLUGIN_CLIENT_RETRY_DELAY"],
            pyvider ["plugin_client_initial_backoff_ms", "plugin_client_retry_delay"];
        /// By what a pause is longer than the one before. At least 1.
        multiplier: f64 = "2",
            env ["PLUGIN_CLIENT_BACKOFF_MULTIPLIER"], pyvider ["plugin_client_backoff_multiplier"];
        /// The longest pause.
        max: Duration = "5s",
            env ["PLUGIN_CLIENT_MAX_BACKOFF_MS", "PLUGIN_CLIENT_MAX_RETRY_DELAY"],
            pyvider ["plugin_client_max_backoff_ms", "plugin_client_max_retry_delay"];
        /// The most by which a pause is lengthened at random, so that many hosts do not try at the same moment.
        jitter: Duration = "50ms",
            env ["PLUGIN_CLIENT_RETRY_JITTER_MS"], pyvider ["plugin_client_retry_jitter_ms"];
        /// The time for all tries and pauses together.
        total: Duration = "30s",
            env ["PLUGIN_CLIENT_RETRY_TOTAL_TIMEOUT_S"], pyvider ["plugin_client_retry_total_timeout_s"];
    }
}

table! {
    /// How a supervised plugin that died is started again.
    pub struct SupervisionConfig {
        /// How many restarts are made within `window` before the plugin is given up. 0 never restarts.
        max_restarts: u32 = "5", env ["PLUGIN_RESTART_MAX"], pyvider [];
        /// The time over which restarts are counted.
        window: Duration = "1m", env ["PLUGIN_RESTART_WINDOW"], pyvider [];
        /// The pause before a restart; the next one within `window` waits longer.
        initial: Duration = "100ms", env ["PLUGIN_RESTART_INITIAL_BACKOFF"], pyvider [];
        /// By what a pause is longer than the one before. At least 1.
        multiplier: f64 = "2", env ["PLUGIN_RESTART_BACKOFF_MULTIPLIER"], pyvider [];
        /// The longest pause.
        max: Duration = "10s", env ["PLUGIN_RESTART_MAX_BACKOFF"], pyvider [];
        /// The time between health calls to the running plugin. None makes none: a death is noticed without them,
        /// but not a plugin that hangs.
        probe_interval: Option<Duration> = "none", env ["PLUGIN_PROBE_INTERVAL"], pyvider [];
        /// How long a health call may take before the plugin counts as hanging and is killed.
        probe_timeout: Duration = "5s", env ["PLUGIN_PROBE_TIMEOUT"], pyvider [];
    }
}
