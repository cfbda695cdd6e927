//! Many orders of events in the broker, in a shutdown with calls in flight, and in supervision.
//!
//! Each schedule is a run of the real code in memory, with a clock that jumps from timer to timer. Its seed decides the plan of
//! the run, and where each stream of bytes stops, is cut, or waits ([`chaos`]). A failure names its seed.
//! `RPCPLUGIN_SCHEDULES` is the number of schedules, and `RPCPLUGIN_SEED` the first seed: `cargo xtask schedules` sets both.
#![cfg(target_os = "linux")]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and prints what it did"
)]

#[path = "schedules/broker.rs"]
mod broker;
#[path = "schedules/chaos.rs"]
mod chaos;
#[path = "schedules/in_memory.rs"]
mod in_memory;
#[path = "schedules/shutdown.rs"]
mod shutdown;
#[path = "schedules/supervision.rs"]
mod supervision;
