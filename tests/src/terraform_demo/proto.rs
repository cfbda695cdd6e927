//! The generator's output, as it comes, from where the example of a host has it too. Its style is the generator's own;
//! the lints that it does not keep are named here.
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

/// What reflection tells about protocol 5.
pub(crate) const DESCRIPTORS_5: &[u8] =
    include_bytes!("../../../crates/rpcplugin/examples/terraform/generated/tfplugin5_descriptor.bin");

/// What reflection tells about protocol 6.
pub(crate) const DESCRIPTORS_6: &[u8] =
    include_bytes!("../../../crates/rpcplugin/examples/terraform/generated/tfplugin6_descriptor.bin");
