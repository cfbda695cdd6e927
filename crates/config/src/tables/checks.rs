//! The checks of each setting's range, and of settings that depend on each other.

use std::time::Duration;

use rpcplugin_core::SocketPath;

use super::{
    groups::{Http2Config, KeepaliveConfig, RateLimitConfig, RetryConfig, SupervisionConfig},
    host::HostConfig,
    plugin::PluginConfig,
};
use crate::{
    error::{ConfigError, FaultKind},
    schema::{Check, Checks, check_made_in_code},
    side::Side,
    value::ByteSize,
};

impl PluginConfig {
    /// Checks the values and their combinations. A loader has checked every configuration that it returns.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_made_in_code(self, Side::Plugin)
    }
}

impl HostConfig {
    /// Checks the values and their combinations. A loader has checked every configuration that it returns.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_made_in_code(self, Side::Host)
    }
}

impl Check for PluginConfig {
    fn check(&self, checks: &mut Checks) {
        checks.not_empty("transports", &self.transports);
        if let Some(Err(error)) = self.unix_socket_path.as_ref().map(SocketPath::new) {
            checks.add(&["unix_socket_path"], FaultKind::SocketPath(error));
        }
        checks.within("output_buffer", self.output_buffer, ByteSize::kib(4)..=ByteSize::mib(1024));
        checks.within("output_timeout", self.output_timeout, Duration::ZERO..=DAY);
        checks.within("grace", self.grace, Duration::ZERO..=HOUR);
        checks.within("ready_timeout", self.ready_timeout, INSTANT..=DAY);
        checks.message_limits(self.max_receive_message_size, self.max_send_message_size);
        checks.within("broker_timeout", self.broker_timeout, INSTANT..=HOUR);
        checks.within("workers", self.workers, 1..=1024);
        checks.group("http2", &self.http2);
        if let Some(rate_limit) = &self.rate_limit {
            checks.group("rate_limit", rate_limit);
        }
    }
}

impl Check for HostConfig {
    fn check(&self, checks: &mut Checks) {
        checks.within("launch_timeout", self.launch_timeout, INSTANT..=DAY);
        for (name, deadline) in
            [("connection_timeout", self.connection_timeout), ("ready_timeout", self.ready_timeout)]
        {
            if let Some(deadline) = deadline {
                checks.within(name, deadline, INSTANT..=DAY);
            }
        }
        checks.within("still_waiting_interval", self.still_waiting_interval, Duration::ZERO..=DAY);
        checks.within("busy_timeout", self.busy_timeout, Duration::ZERO..=HOUR);
        checks.within("grace", self.grace, Duration::ZERO..=HOUR);
        checks.within("shutdown_timeout", self.shutdown_timeout, INSTANT..=HOUR);
        if let Some(terminate_after) = self.terminate_after {
            checks.order(("terminate_after", terminate_after), ("grace", self.grace));
        }
        checks.within("orphan_timeout", self.orphan_timeout, Duration::ZERO..=DAY);
        checks.within("drain_timeout", self.drain_timeout, Duration::ZERO..=HOUR);
        checks.within("admin_timeout", self.admin_timeout, INSTANT..=HOUR);
        checks.not_empty("transports", &self.transports);
        checks.message_limits(self.max_receive_message_size, self.max_send_message_size);
        checks.within("broker_timeout", self.broker_timeout, INSTANT..=HOUR);
        checks.within("stray_lines", self.stray_lines, 0..=10_000);
        checks.within(
            "handshake_line_limit",
            self.handshake_line_limit,
            ByteSize::kib(4)..=ByteSize::mib(16),
        );
        checks.within("log_line_limit", self.log_line_limit, ByteSize::kib(1)..=ByteSize::mib(64));
        checks.within("stderr_tail_lines", self.stderr_tail_lines, 0..=100_000);
        checks.within("stderr_tail_bytes", self.stderr_tail_bytes, ByteSize::bytes(0)..=ByteSize::mib(64));
        checks.group("http2", &self.http2);
        checks.group("supervision", &self.supervision);
        if let Some(keepalive) = &self.keepalive {
            checks.group("keepalive", keepalive);
        }
        if let Some(retry) = &self.retry {
            checks.group("retry", retry);
        }
    }
}

impl Check for Http2Config {
    fn check(&self, checks: &mut Checks) {
        let mut within = |name, size, smallest, largest| {
            checks.within(name, size, smallest..=ByteSize::bytes(largest));
        };
        within("stream_window", self.stream_window, ByteSize::kib(16), LARGEST_WINDOW);
        // A connection starts with a window of 65535 bytes, and HTTP/2 can only enlarge it.
        within("connection_window", self.connection_window, ByteSize::bytes(65_535), LARGEST_WINDOW);
        within("max_frame", self.max_frame, ByteSize::kib(16), LARGEST_FRAME);
        within("max_headers", self.max_headers, ByteSize::kib(4), 1 << 30);
        checks.within("handshake_timeout", self.handshake_timeout, INSTANT..=HOUR);
    }
}

impl Check for RateLimitConfig {
    fn check(&self, checks: &mut Checks) {
        checks.within("requests_per_second", self.requests_per_second, SLOWEST_RATE..=FASTEST_RATE);
        checks.within("burst_capacity", self.burst_capacity, 1..=u32::MAX);
        for (name, rates) in [("per_service", &self.per_service), ("per_method", &self.per_method)] {
            for (_, rate) in rates.iter() {
                checks.within(name, rate.requests_per_second, SLOWEST_RATE..=FASTEST_RATE);
                checks.within(name, rate.burst_capacity, 1..=u32::MAX);
            }
        }
    }
}

impl Check for KeepaliveConfig {
    fn check(&self, checks: &mut Checks) {
        if self.interval < LEAST_INTERVAL && !self.permitted {
            checks
                .add(&["interval", "permitted"], FaultKind::KeepaliveTooFrequent { interval: self.interval });
        } else {
            checks.within("interval", self.interval, Duration::from_secs(1)..=DAY);
        }
        checks.within("timeout", self.timeout, INSTANT..=HOUR);
    }
}

impl Check for RetryConfig {
    fn check(&self, checks: &mut Checks) {
        checks.within("max_retries", self.max_retries, 0..=1000);
        checks.within("multiplier", self.multiplier, 1.0..=100.0);
        checks.within("max", self.max, Duration::ZERO..=DAY);
        checks.order(("initial", self.initial), ("max", self.max));
        checks.within("jitter", self.jitter, Duration::ZERO..=HOUR);
        checks.within("total", self.total, INSTANT..=DAY);
    }
}

impl Check for SupervisionConfig {
    fn check(&self, checks: &mut Checks) {
        checks.within("max_restarts", self.max_restarts, 0..=1_000_000);
        checks.within("window", self.window, INSTANT..=DAY);
        checks.within("multiplier", self.multiplier, 1.0..=100.0);
        checks.within("max", self.max, Duration::ZERO..=DAY);
        checks.order(("initial", self.initial), ("max", self.max));
        if let Some(probe_interval) = self.probe_interval {
            checks.within("probe_interval", probe_interval, Duration::from_millis(10)..=DAY);
        }
        checks.within("probe_timeout", self.probe_timeout, INSTANT..=HOUR);
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest timeout that makes sense.
const INSTANT: Duration = Duration::from_millis(1);

/// gRPC servers close an idle connection on which a client pings more often.
const LEAST_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// RFC 9113, 6.9.1: the largest window.
const LARGEST_WINDOW: u64 = (1 << 31) - 1;

/// RFC 9113, 4.2: the largest frame.
const LARGEST_FRAME: u64 = (1 << 24) - 1;

/// The limiter can count from one call per day to one call per nanosecond.
const SLOWEST_RATE: f64 = 1.0 / 86_400.0;
const FASTEST_RATE: f64 = 1e9;
