//! The code generated from `proto/grafana`.
#![allow(
    clippy::all,
    clippy::allow_attributes,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]

#[path = "generated/pluginv2.rs"]
pub(crate) mod pluginv2;

/// The descriptors of the services, for reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!("generated/pluginv2_descriptor.bin");
