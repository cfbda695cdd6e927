//! `tap` between hosts and plugins in three languages, and with plugins that are scripts.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "`bridge` uses the rest")]
#[path = "bridge/bridged.rs"]
mod bridged;
#[path = "tap/ending.rs"]
mod ending;
#[path = "tap/installed.rs"]
mod installed;
#[path = "tap/kit.rs"]
mod kit;
#[path = "tap/peers.rs"]
mod peers;
#[expect(dead_code, reason = "`checks` uses the rest")]
#[path = "checks/program.rs"]
mod program;
#[path = "tap/replayed.rs"]
mod replayed;
#[expect(dead_code, reason = "`commands` uses the rest")]
#[path = "commands/running.rs"]
mod running;
#[path = "tap/shown.rs"]
mod shown;
