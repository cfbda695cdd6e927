//! The errors of launches, pings and requests about instances, with the facts that explain them.

mod connect;
mod evidence;
mod fault;
mod handshake;
mod instance;
mod launch_error;
mod metadata;
mod ping;
mod plugin_reason;
mod program;
mod requirement;
mod security;
mod setup;
mod start;

pub use self::{
    connect::ConnectFault,
    fault::LaunchFault,
    handshake::HandshakeFault,
    instance::InstanceError,
    launch_error::{LaunchError, LaunchFacts},
    metadata::MetadataCallError,
    ping::PingError,
    plugin_reason::{PluginReason, ReasonKind},
    program::ProgramFault,
    requirement::RequirementFault,
    security::SecurityFault,
    setup::SetupFault,
    start::StartFault,
};
pub(crate) use self::{evidence::Evidence, instance::InstanceRequest};
