//! The conformance kit: two programs built on the public API of `rpcplugin` and on nothing private.
//!
//! `kit-plugin` serves `conformance.v1.Kit`; `kit-host` launches plugins, drives them by JSON lines, or goes through
//! its own list of checks. Peers in other languages, well-behaved and hostile, are run against both.

pub mod bench;
pub mod contract;

mod generated;
pub mod kit_host;
pub mod kit_plugin;
pub mod raw_http2;
pub mod support;
pub mod terraform_demo;
pub mod tracing_support;

pub use generated::conformance as pb;
