//! Side connections between real processes: this host and this plugin, each with the original's counterpart too, in
//! every mode.
//!
//! Go's programs are those that `cargo xtask interop` builds. Where they are absent, what needs them says that it is
//! skipped, unless the environment variable `RPCPLUGIN_REQUIRE` contains `go`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "broker_peers/attached.rs"]
mod attached;
#[path = "broker_peers/go_host.rs"]
mod go_host;
#[path = "broker_peers/subject.rs"]
mod subject;
#[path = "broker_peers/together.rs"]
mod together;
