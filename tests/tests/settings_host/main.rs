//! Each setting of a host changes what a host does with real processes.
//!
//! Each test is named after its setting, and sets it as an operator does, in the environment.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connections;
mod http2;
mod launching;
mod output;
mod retry;
mod security;
mod servers;
mod shutdown;
mod supervision;
mod support;
