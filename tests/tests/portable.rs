//! Hosts and plugins on every system, with real processes: no test here needs a shell, signals, Unix sockets or `/proc`.
//!
//! | variable | what it names | without it |
//! |---|---|---|
//! | `RPCPLUGIN_PORTABLE_PLUGIN` | the conformance plugin | `kit-plugin` beside the tests |
//! | `RPCPLUGIN_PORTABLE_QUICKSTART` | the example `quickstart` | the example beside the tests |
//! | `RPCPLUGIN_PORTABLE_GO_PLUGIN` | the conformance plugin in Go | that of `cargo xtask interop` on Windows; elsewhere its tests are skipped |
//! | `RPCPLUGIN_PORTABLE_GO_HOST` | the conformance host in Go | as above |
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "portable/calls.rs"]
mod calls;
#[path = "portable/endings.rs"]
mod endings;
#[path = "portable/faults.rs"]
mod faults;
#[path = "portable/peers.rs"]
mod peers;
#[path = "portable/support.rs"]
mod support;
