//! A plugin that is about to be supervised.

use std::{fmt, future::IntoFuture, pin::Pin, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{
    error::SuperviseError,
    generation::Generation,
    instances::{KeptInstances, SupervisedInstances},
    supervised::Supervised,
    task::{Setup, Supervisor},
    while_down::WhileDown,
};
use crate::{
    command::{Command, name},
    host::Host,
    instances::InstanceLimits,
    observe::fan_out::PluginTopics,
    process::runner::Runner,
};

/// A plugin that is about to be supervised. Awaiting it launches the first generation.
///
/// Made by [`Host::supervise`].
#[must_use = "nothing is launched before it is awaited"]
pub struct Supervise<R = Command> {
    host: Host,
    runner: R,
    while_down: WhileDown,
    setups: Vec<Setup>,
}

impl<R: Runner + 'static> Supervise<R> {
    pub(crate) fn new(host: Host, runner: R) -> Self {
        Self { host, runner, while_down: WhileDown::default(), setups: Vec::new() }
    }

    /// Chooses what happens to calls while the plugin is down.
    pub fn while_down(mut self, while_down: WhileDown) -> Self {
        self.while_down = while_down;
        self
    }

    /// Calls this function with every generation, the first one included, before other calls reach it: a new process
    /// has no state of the one before. Several functions are called in order.
    ///
    /// If the function fails, the generation is killed, and the start has failed. The function has the launch timeout,
    /// [`HostConfig::launch_timeout`](rpcplugin_config::HostConfig::launch_timeout).
    pub fn on_start<F, E>(mut self, setup: impl Fn(Generation) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.setups.push(Box::new(move |generation| {
            let done = setup(generation);
            Box::pin(async move { done.await.map_err(Into::into) })
        }));
        self
    }
}

impl<R: Runner + 'static> IntoFuture for Supervise<R> {
    type Output = Result<Supervised, SuperviseError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { host, runner, while_down, mut setups } = self;
            let kept = KeptInstances::new(InstanceLimits::new(&host.config));
            // Before the functions of the host, which may call instances.
            setups.insert(0, restoring(&kept));
            let name = name(&runner.program());
            let topics = Arc::new(PluginTopics::new());
            let (supervisor, plugin) = Supervisor::start(host, runner, setups, Arc::clone(&topics)).await?;
            let state = supervisor.state();
            let (requests, received) = mpsc::unbounded_channel();
            let _task = AbortOnDropHandle::new(tokio::spawn(supervisor.run(plugin, received)));
            let instances = Arc::new(SupervisedInstances { kept, state: state.clone() });
            Ok(Supervised { name, while_down, state, requests, topics, instances, _task })
        })
    }
}

/// Creates the kept instances in each generation.
fn restoring(kept: &KeptInstances) -> Setup {
    let kept = kept.clone();
    Box::new(move |generation| {
        let kept = kept.clone();
        Box::pin(async move { kept.restore(generation).await.map_err(Into::into) })
    })
}

impl<R: Runner> fmt::Debug for Supervise<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervise")
            .field("program", &self.runner.program())
            .field("while_down", &self.while_down)
            .finish_non_exhaustive()
    }
}
