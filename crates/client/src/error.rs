//! The errors of launches and pings, with the facts that explain them.

mod evidence;
mod fault;
mod launch_error;
mod ping;
mod plugin_reason;

pub(crate) use self::evidence::Evidence;
pub use self::{
    fault::LaunchFault,
    launch_error::{LaunchError, LaunchFacts},
    ping::PingError,
    plugin_reason::{PluginReason, ReasonKind},
};
