//! From a command to a plugin.
//!
//! A launch is one attempt, or several with pauses between them ([`retry`]). An [`attempt`] has three steps, each of
//! which takes what the one before has made: [`spawn`] starts the process, [`greet`] reads the handshake line,
//! [`connect`] opens the channel. Dropping the result of a step kills the process.

pub(crate) mod attempt;
mod connect;
mod context;
mod failure;
mod greet;
pub(crate) mod retry;
mod spawn;

use std::sync::Arc;

use crate::{
    command::{Command, name},
    error::LaunchError,
    host::Host,
    observe::fan_out::PluginTopics,
    plugin::Plugin,
    process::runner::Runner,
};

impl Host {
    /// Starts a plugin, and returns when the plugin is connected and has reported that it is healthy.
    ///
    /// A failed launch that may succeed the next time is tried again as [the
    /// configuration](rpcplugin_config::HostConfig::retry) says.
    ///
    /// # Errors
    /// [`LaunchError`]. Nothing is left of the plugin then, and the launch can be tried again.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn launch(&self, command: impl Into<Command>) -> Result<Plugin, LaunchError> {
        self.launch_with(&command.into()).await
    }

    /// Starts a plugin in another way than as a child process of this host.
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    ///
    /// # Cancel safety
    /// As [`launch`](Self::launch).
    pub async fn launch_with(&self, runner: &impl Runner) -> Result<Plugin, LaunchError> {
        let fan_out = self.fan_out(&name(&runner.program()), 1, Arc::new(PluginTopics::new()));
        retry::launch(self, runner, &fan_out).await
    }
}
