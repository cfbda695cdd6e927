//! The unchanged output of the code generator, from the example of a host, and the lints that it breaks.
#![allow(
    clippy::all,
    clippy::allow_attributes,
    clippy::exhaustive_enums,
    clippy::missing_errors_doc,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code, of which providers use one side"
)]

#[path = "../../../crates/rpcplugin/examples/terraform/generated/tfplugin.rs"]
pub(crate) mod tfplugin;
#[path = "../../../crates/rpcplugin/examples/terraform/generated/tfplugin5.rs"]
pub(crate) mod tfplugin5;
#[path = "../../../crates/rpcplugin/examples/terraform/generated/tfplugin6.rs"]
pub(crate) mod tfplugin6;

/// The descriptors of protocol 5, for reflection.
pub(crate) const DESCRIPTORS_5: &[u8] =
    include_bytes!("../../../crates/rpcplugin/examples/terraform/generated/tfplugin5_descriptor.bin");

/// The descriptors of protocol 6, for reflection.
pub(crate) const DESCRIPTORS_6: &[u8] =
    include_bytes!("../../../crates/rpcplugin/examples/terraform/generated/tfplugin6_descriptor.bin");
