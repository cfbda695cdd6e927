//! Brokered connections between real processes, in every mode: this host and this plugin, and each with its counterpart in
//! go-plugin.
//!
//! `cargo xtask interop` builds the programs in Go. Without them, their tests are skipped, which is printed. They fail if
//! `RPCPLUGIN_REQUIRE` contains `go`.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "broker_peers/attached.rs"]
mod attached;
#[path = "broker_peers/go_host.rs"]
mod go_host;
#[path = "broker_peers/subject.rs"]
mod subject;
#[path = "broker_peers/together.rs"]
mod together;
