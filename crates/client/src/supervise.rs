//! A plugin that is started again when it dies.

mod budget;
mod channel;
mod generation;
mod state;
mod task;

use std::{fmt, future::IntoFuture, pin::Pin, sync::Arc, time::Duration};

use miette::Diagnostic;
use rpcplugin_transport::http2::PluginChannel;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use self::{
    channel::Generations,
    state::State,
    task::{Order, Supervisor},
};
pub use self::{generation::Generation, state::SupervisionState};
use crate::{
    command::{Command, name},
    error::LaunchError,
    events::Events,
    exit::Exit,
    feed::OwnTopics,
    host::Host,
    identity::PluginId,
    output::{Output, OutputOptions},
    runner::Runner,
};

/// What happens to calls while a supervised plugin is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhileDown {
    /// They wait for the next generation, as long as their own deadline allows, and no longer than this. The default,
    /// with 30 s.
    Wait(Duration),
    /// They fail at once with UNAVAILABLE.
    Fail,
}

impl Default for WhileDown {
    fn default() -> Self {
        Self::Wait(Duration::from_secs(30))
    }
}

/// A plugin is about to be supervised. Awaiting it launches the first generation.
///
/// Made by [`Host::supervise`].
#[must_use = "nothing is launched before it is awaited"]
pub struct Supervise<R = Command> {
    host: Host,
    runner: R,
    while_down: WhileDown,
    setups: Vec<Setup>,
}

/// Prepares a new generation.
type Setup = Box<dyn Fn(Generation) -> SetupFuture + Send + Sync>;
type SetupFuture = Pin<Box<dyn Future<Output = Result<(), SetupFailure>> + Send>>;
type SetupFailure = Box<dyn std::error::Error + Send + Sync>;

/// A plugin that is started again when it dies. Dropping it ends the supervision and kills the plugin.
///
/// The restarts, their pauses and their budget are
/// [`HostConfig::supervision`](rpcplugin_config::HostConfig::supervision). When the budget is used up, or a start fails by
/// a fault that [will not pass](crate::LaunchFault::may_pass), the plugin is given up: [`channel`](Self::channel)s fail
/// from then on, and say why. The first start is tried as often as
/// [`HostConfig::retry`](rpcplugin_config::HostConfig::retry) says.
pub struct Supervised {
    name: String,
    while_down: WhileDown,
    state: watch::Receiver<State>,
    orders: mpsc::UnboundedSender<Order>,
    topics: Arc<OwnTopics>,
    _task: AbortOnDropHandle<()>,
}

/// A plugin cannot be supervised, since it did not start a first time.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum SuperviseError {
    /// It did not start.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Launch(#[from] LaunchError),
    /// It started, and what had to be done with each generation failed. It has been killed.
    #[error("the plugin {plugin} started, and could not be set up")]
    #[diagnostic(
        code(rpcplugin::base::supervised_setup),
        help("the cause comes from the function that the host gave to `on_start`")
    )]
    Setup {
        /// The plugin.
        plugin: PluginId,
        /// What the function said.
        source: SetupFailure,
    },
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

    /// Does this with every generation, the first one included, before calls reach it: a fresh process knows nothing of
    /// what its predecessor was told. Several functions are called in order.
    ///
    /// When it fails, the generation is killed, and counts as a start that failed. It has as long as a start has:
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
            let Self { host, runner, while_down, setups } = self;
            let name = name(&runner.program());
            let topics = Arc::new(OwnTopics::new());
            let (supervisor, plugin) = Supervisor::start(host, runner, setups, Arc::clone(&topics)).await?;
            let state = supervisor.state();
            let (orders, received) = mpsc::unbounded_channel();
            let _task = AbortOnDropHandle::new(tokio::spawn(supervisor.run(plugin, received)));
            Ok(Supervised { name, while_down, state, orders, topics, _task })
        })
    }
}

impl Supervised {
    /// The channel for generated clients, whichever process the plugin is: `KvClient::new(supervised.channel())`.
    /// Cheap to clone, and to be kept.
    ///
    /// A call goes to the generation that is ready when it is made. A call that is under way when the process dies fails
    /// with a status that says how it died, as [`Plugin::explain`](crate::Plugin::explain) describes it; it is never made
    /// a second time, since it is not known how far it had got. A call that is made while there is no process waits for the
    /// next one, or fails at once: see [`WhileDown`]. What has waited has that much less of its own deadline left.
    #[must_use]
    pub fn channel(&self) -> PluginChannel {
        self.channel_while_down(self.while_down)
    }

    /// As [`channel`](Self::channel), with another choice for calls that are made while the plugin is down.
    #[must_use]
    pub fn channel_while_down(&self, while_down: WhileDown) -> PluginChannel {
        let (name, state) = (self.name.as_str().into(), self.state.clone());
        PluginChannel::chosen(Arc::new(Generations { name, while_down, state }))
    }

    /// The name by which logs call the plugin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it stands with the plugin.
    #[must_use]
    pub fn state(&self) -> SupervisionState {
        self.state.borrow().describe()
    }

    /// The generation that takes calls; None while there is none.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.state.borrow().ready().cloned()
    }

    /// Waits until a generation later than `number` takes calls, and returns it; None when there will be none since
    /// the plugin was given up or stopped. With 0 it waits for any.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn later_generation(&self, number: u64) -> Option<Generation> {
        let mut state = self.state.clone();
        let later =
            |state: &State| state.is_over() || state.ready().is_some_and(|ready| ready.number() > number);
        state.wait_for(later).await.ok()?.ready().cloned()
    }

    /// The events of all generations. The first caller gets those since the first start, others those from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.topics.events()
    }

    /// What all generations print. The first caller also gets the last 64 KiB of what was printed through the
    /// connection since the first start, others what is printed from now on.
    #[must_use]
    pub fn output(&self, options: OutputOptions) -> Output {
        self.topics.output(options)
    }

    /// Ends the running generation politely and starts the next, without drawing on the budget. Returns when the new
    /// one takes calls; false when the plugin was given up or stopped before. While the plugin is being started again
    /// anyway, that start is the restart.
    ///
    /// Calls under way on the old generation have the plugin's own grace period. Calls that are made meanwhile wait or
    /// fail as [`WhileDown`] says.
    ///
    /// # Cancel safety
    /// The restart goes on when the future is dropped.
    pub async fn restart(&self) -> bool {
        let (done, restarted) = oneshot::channel();
        let number = self.state.borrow().last_generation();
        if self.orders.send(Order::Restart { after: number, done }).is_err() {
            return false;
        }
        restarted.await.is_ok() && self.later_generation(number).await.is_some()
    }

    /// Ends the supervision, and the plugin as [`Plugin::shut_down`](crate::Plugin::shut_down) does. Returns how it
    /// ended; None when it was not running.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn stop(self) -> Option<Exit> {
        self.stop_with(None).await
    }

    /// As [`stop`](Self::stop), but with this grace period.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn stop_within(self, grace: Duration) -> Option<Exit> {
        self.stop_with(Some(grace)).await
    }

    async fn stop_with(self, grace: Option<Duration>) -> Option<Exit> {
        let (done, stopped) = oneshot::channel();
        self.orders.send(Order::Stop { grace, done }).ok()?;
        stopped.await.ok().flatten()
    }
}

impl fmt::Debug for Supervised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervised")
            .field("name", &self.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl<R: Runner> fmt::Debug for Supervise<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervise")
            .field("program", &self.runner.program())
            .field("while_down", &self.while_down)
            .finish_non_exhaustive()
    }
}
