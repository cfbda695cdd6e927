//! The conformance kit, two programs that use only the public API of `rpcplugin`, and support for the test programs.
//!
//! `kit-plugin` serves `conformance.v1.Kit`. `kit-host` launches plugins and drives them by JSON lines, or runs its list of
//! checks. Both also run against peers in other languages, well-behaved and hostile.

pub mod bench;
pub mod contract;
#[cfg(target_os = "linux")]
pub mod escapes;

mod generated;
pub mod kit_host;
pub mod kit_plugin;
pub mod os;
pub mod raw_http2;
#[cfg(target_os = "linux")]
pub mod soak;
pub mod support;
pub mod terraform_demo;
pub mod tracing_support;

pub use generated::conformance as pb;
