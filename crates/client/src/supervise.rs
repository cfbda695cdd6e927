//! Supervision: plugins that are restarted when they exit.

mod budget;
mod builder;
mod channel;
mod error;
mod generation;
mod instances;
mod state;
mod supervised;
mod task;
mod while_down;

pub use self::{
    builder::Supervise, error::SuperviseError, generation::Generation, state::SupervisionState,
    supervised::Supervised, while_down::WhileDown,
};
use crate::{command::Command, host::Host, process::runner::Runner};

impl Host {
    /// Launches a plugin, and restarts it whenever it exits, as
    /// [`HostConfig::supervision`](rpcplugin_config::HostConfig::supervision) says. Awaiting the returned value
    /// launches the plugin.
    ///
    /// ```no_run
    /// # use rpcplugin_client::{Command, Generation, Host};
    /// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
    /// let supervised = host
    ///     .supervise(Command::new("./kv-plugin"))
    ///     .on_start(|generation: Generation| async move {
    ///         // A new process needs its settings again: call it on `generation.channel()`.
    ///         Ok::<_, tonic::Status>(())
    ///     })
    ///     .await?;
    /// let channel = supervised.channel(); // clients keep it: it reaches every generation
    /// supervised.shut_down().await;
    /// # Ok(()) }
    /// ```
    pub fn supervise(&self, command: impl Into<Command>) -> Supervise {
        self.supervise_with(command.into())
    }

    /// As [`supervise`](Self::supervise), for a plugin that is started in another way than as a child process of this
    /// host.
    pub fn supervise_with<R: Runner + 'static>(&self, runner: R) -> Supervise<R> {
        Supervise::new(self.clone(), runner)
    }
}
