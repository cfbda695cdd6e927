//! The plugin side with real processes: what is promised of it in `docs/features.md`.
//!
//! The plugin is `plugin-subject`, or `kit-plugin` where peers in other languages are its hosts.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the functions that tests share may fail a test too")]

mod attach;
mod ending;
mod limits;
mod output;
mod peers;
mod security;
mod services;
#[path = "../support/signals.rs"]
mod signals;
mod subject;
mod transports;
