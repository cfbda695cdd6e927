//! `bridge` with plugins and hosts in three languages, and with plugins that are scripts.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "bridge/bridged.rs"]
mod bridged;
#[path = "bridge/connections.rs"]
mod connections;
#[path = "bridge/ending.rs"]
mod ending;
#[path = "bridge/kit.rs"]
mod kit;
#[path = "bridge/listening.rs"]
mod listening;
#[path = "bridge/network.rs"]
mod network;
#[path = "bridge/output.rs"]
mod output;
#[expect(dead_code, reason = "`checks` uses the rest")]
#[path = "checks/program.rs"]
mod program;
#[expect(dead_code, reason = "`commands` uses the rest")]
#[path = "commands/running.rs"]
mod running;
