//! The plugin's process: how it is started, owned, signalled and cleaned up after.

pub(crate) mod child;
mod confined;
mod environment;
pub(crate) mod merged;
pub(crate) mod owner;
pub(crate) mod runner;
pub(crate) mod socket_cleanup;

pub use self::{
    child::ChildProcess,
    runner::{LaunchEnvironment, PluginProcess, Runner, StartedProcess},
};
