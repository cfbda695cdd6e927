//! A plugin that is restarted when it exits.

use std::{fmt, sync::Arc, time::Duration};

use rpcplugin_core::{InstanceConfiguration, InstanceId};
use rpcplugin_transport::http2::PluginChannel;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    channel::Generations,
    generation::Generation,
    instances::SupervisedInstances,
    state::{State, SupervisionState},
    task::Request,
    while_down::WhileDown,
};
use crate::{
    error::InstanceError,
    exit::Exit,
    instances::PluginInstance,
    observe::{
        event::Events,
        fan_out::PluginTopics,
        output::{OutputOptions, OutputStream},
    },
};

/// A plugin that is restarted when it exits. Dropping it ends the supervision and kills the plugin.
///
/// [`HostConfig::supervision`](rpcplugin_config::HostConfig::supervision) has the budget of restarts and their
/// pauses. The supervisor gives the plugin up when the budget is used up, or when a launch fails with a fault that
/// [will not pass](crate::LaunchFault::may_pass). Calls on [`channel`](Self::channel) fail from then on with the
/// reason. The first launch is tried as often as [`HostConfig::retry`](rpcplugin_config::HostConfig::retry) says.
pub struct Supervised {
    pub(super) name: String,
    pub(super) while_down: WhileDown,
    pub(super) state: watch::Receiver<State>,
    pub(super) requests: mpsc::UnboundedSender<Request>,
    pub(super) topics: Arc<PluginTopics>,
    pub(super) instances: Arc<SupervisedInstances>,
    pub(super) _task: AbortOnDropHandle<()>,
}

impl Supervised {
    /// The channel for generated clients, for all generations: `KvClient::new(supervised.channel())`. Cheap to clone.
    ///
    /// A call goes to the generation that is ready when the call is made. A call in flight when the process exits
    /// fails with a status that reports the exit, as [`Plugin::explain`](crate::Plugin::explain) describes. It is
    /// never repeated, because it is not known how far it had got. A call that is made while the plugin is down waits
    /// for the next generation or fails at once: see [`WhileDown`]. The wait counts toward the deadline of the call.
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

    /// The plugin's name in logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state of the supervision.
    #[must_use]
    pub fn state(&self) -> SupervisionState {
        self.state.borrow().describe()
    }

    /// The generation that takes calls. `None` while the plugin is down.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.state.borrow().ready().cloned()
    }

    /// Waits until a generation with a number above `number` takes calls, and returns it. `None` if there will be no
    /// further generation because the plugin was given up or shut down. With 0 it waits for any generation.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn later_generation(&self, number: u64) -> Option<Generation> {
        let mut state = self.state.clone();
        let later =
            |state: &State| state.is_over() || state.ready().is_some_and(|ready| ready.number() > number);
        state.wait_for(later).await.ok()?.ready().cloned()
    }

    /// Creates an instance in the plugin, as [`Plugin::create_instance`](crate::Plugin::create_instance) does, and keeps its
    /// configuration: every later generation gets the instance before calls reach it. While the plugin is down, this waits for
    /// the next generation. All of it has [`HostConfig::launch_timeout`](rpcplugin_config::HostConfig::launch_timeout).
    ///
    /// If a later generation refuses the instance, this is logged, and calls to the instance fail with NOT_FOUND. Creating it
    /// again, or another restart, may help. The channel of the instance follows the plugin as [`channel`](Self::channel) does.
    ///
    /// # Errors
    /// As [`Plugin::create_instance`](crate::Plugin::create_instance). An instance that failed is not kept.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the creation. An instance that was made just before stays until the generation ends.
    pub async fn create_instance(
        &self,
        id: impl AsRef<str>,
        configuration: InstanceConfiguration,
    ) -> Result<PluginInstance, InstanceError> {
        let id = InstanceId::new(id)?;
        self.instances.create(&id, configuration).await?;
        Ok(self.instance_of(id))
    }

    /// Returns an instance that exists already. The plugin is not asked whether it exists.
    ///
    /// # Errors
    /// [`InstanceError::InvalidId`].
    pub fn instance(&self, id: impl AsRef<str>) -> Result<PluginInstance, InstanceError> {
        Ok(self.instance_of(InstanceId::new(id)?))
    }

    /// Returns the ids of all instances of the generation that takes calls. While the plugin is down, this waits for the next
    /// generation, as [`create_instance`](Self::create_instance) does.
    ///
    /// # Errors
    /// As [`Plugin::instances`](crate::Plugin::instances).
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn instances(&self) -> Result<Vec<InstanceId>, InstanceError> {
        self.instances.list().await
    }

    fn instance_of(&self, id: InstanceId) -> PluginInstance {
        PluginInstance::new(id, self.channel(), Arc::clone(&self.instances) as _)
    }

    /// The events of all generations. The first caller gets those since the first launch, others those from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.topics.events()
    }

    /// The output of all generations. The first caller also gets the last 64 KiB of forwarded output since the first
    /// launch, others only output from now on.
    #[must_use]
    pub fn output(&self, options: OutputOptions) -> OutputStream {
        self.topics.output(options)
    }

    /// Shuts the running generation down and launches the next, without using the budget. Returns true when the new
    /// generation takes calls, and false if the plugin was given up or shut down. If a restart is going on already,
    /// that restart counts.
    ///
    /// Calls in flight on the old generation have the plugin's own grace period. Calls that are made meanwhile wait
    /// or fail as [`WhileDown`] says.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the restart.
    pub async fn restart(&self) -> bool {
        let (done, restarted) = oneshot::channel();
        let number = self.state.borrow().last_generation();
        if self.requests.send(Request::Restart { after: number, done }).is_err() {
            return false;
        }
        restarted.await.is_ok() && self.later_generation(number).await.is_some()
    }

    /// Ends the supervision, and shuts the plugin down as [`Plugin::shut_down`](crate::Plugin::shut_down) does.
    /// Returns how the plugin ended, and `None` if it was not running.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn shut_down(self) -> Option<Exit> {
        self.end(None).await
    }

    /// As [`shut_down`](Self::shut_down), but with this grace period.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn shut_down_within(self, grace: Duration) -> Option<Exit> {
        self.end(Some(grace)).await
    }

    async fn end(self, grace: Option<Duration>) -> Option<Exit> {
        let (done, stopped) = oneshot::channel();
        self.requests.send(Request::ShutDown { grace, done }).ok()?;
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
