//! The output, life, end and restart of plugins, as a host sees them, with real processes.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "host_life/drops.rs"]
mod drops;
#[path = "host_life/endings.rs"]
mod endings;
#[path = "host_life/goaways.rs"]
mod goaways;
#[path = "host_life/output.rs"]
mod output;
#[path = "host_life/peers.rs"]
mod peers;
#[path = "host_life/reconnects.rs"]
mod reconnects;
#[path = "host_life/supervision.rs"]
mod supervision;
#[path = "host_life/support.rs"]
mod support;
