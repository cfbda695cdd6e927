//! Supervised plugins, which are restarted when they exit.

mod budget;
mod builder;
mod channel;
mod error;
mod generation;
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
    /// Starts a plugin, and starts it again whenever it dies, as
    /// [`HostConfig::supervision`](HostConfig::supervision) says. Awaiting what is returned launches it.
    ///
    /// ```no_run
    /// # use rpcplugin_client::{Command, Generation, Host};
    /// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
    /// let supervised = host
    ///     .supervise(Command::new("./kv-plugin"))
    ///     .on_start(|generation: Generation| async move {
    ///         // A fresh process has to be told its settings anew: call it over `generation.channel()`.
    ///         Ok::<_, tonic::Status>(())
    ///     })
    ///     .await?;
    /// let channel = supervised.channel(); // kept by clients, and good for every process
    /// supervised.shut_down().await;
    /// # Ok(()) }
    /// ```
    pub fn supervise(&self, command: impl Into<Command>) -> Supervise {
        self.supervise_with(command.into())
    }

    /// As [`supervise`](Self::supervise), for a plugin that is started in another way than as a process of this host.
    pub fn supervise_with<R: Runner + 'static>(&self, runner: R) -> Supervise<R> {
        Supervise::new(self.clone(), runner)
    }
}
