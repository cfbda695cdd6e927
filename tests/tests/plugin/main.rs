//! The plugin side with real processes, as `docs/features.md` describes it.
//!
//! The plugin is `plugin-subject`, or `kit-plugin` where the host is written in another language.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attach;
mod ending;
mod limits;
mod orphaned;
mod output;
mod peers;
mod security;
mod services;
mod subject;
mod transports;
