//! The errors of launches and pings, with the facts that explain them.

mod connect;
mod evidence;
mod fault;
mod handshake;
mod launch_error;
mod metadata;
mod ping;
mod plugin_reason;
mod program;
mod requirement;
mod security;
mod setup;
mod start;

pub(crate) use self::evidence::Evidence;
pub use self::{
    connect::ConnectFault,
    fault::LaunchFault,
    handshake::HandshakeFault,
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
