//! `run --ui` on a pseudo-terminal, with real plugins.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "view/modes.rs"]
mod modes;
#[path = "view/operated.rs"]
mod operated;
#[expect(dead_code, reason = "`checks` uses the rest")]
#[path = "checks/program.rs"]
mod program;
#[expect(dead_code, reason = "`commands` uses the rest")]
#[path = "commands/running.rs"]
mod running;
#[path = "view/screen.rs"]
mod screen;
