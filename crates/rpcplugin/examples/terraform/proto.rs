//! The code generated from `proto/tfplugin`: the messages, and the services of both protocols.
#![allow(
    clippy::all,
    clippy::allow_attributes,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code, of which a host uses the clients"
)]

#[path = "generated/tfplugin.rs"]
pub(crate) mod tfplugin;
#[path = "generated/tfplugin5.rs"]
pub(crate) mod tfplugin5;
#[path = "generated/tfplugin6.rs"]
pub(crate) mod tfplugin6;
