//! A plugin that is restarted when it exits.

use std::{fmt, sync::Arc, time::Duration};

use rpcplugin_transport::http2::PluginChannel;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    channel::Generations,
    generation::Generation,
    state::{State, SupervisionState},
    task::Request,
    while_down::WhileDown,
};
use crate::{
    exit::Exit,
    observe::{
        event::Events,
        fan_out::PluginTopics,
        output::{OutputOptions, OutputStream},
    },
};

/// A plugin that is started again when it dies. Dropping it ends the supervision and kills the plugin.
///
/// The restarts, their pauses and their budget are
/// [`HostConfig::supervision`](rpcplugin_config::HostConfig::supervision). When the budget is used up, or a start fails by
/// a fault that [will not pass](crate::LaunchFault::may_pass), the plugin is given up: [`channel`](Self::channel)s fail
/// from then on, and say why. The first start is tried as often as
/// [`HostConfig::retry`](rpcplugin_config::HostConfig::retry) says.
pub struct Supervised {
    pub(super) name: String,
    pub(super) while_down: WhileDown,
    pub(super) state: watch::Receiver<State>,
    pub(super) requests: mpsc::UnboundedSender<Request>,
    pub(super) topics: Arc<PluginTopics>,
    pub(super) _task: AbortOnDropHandle<()>,
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
    pub fn output(&self, options: OutputOptions) -> OutputStream {
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
        if self.requests.send(Request::Restart { after: number, done }).is_err() {
            return false;
        }
        restarted.await.is_ok() && self.later_generation(number).await.is_some()
    }

    /// Ends the supervision, and the plugin as [`Plugin::shut_down`](crate::Plugin::shut_down) does. Returns how it
    /// ended; None when it was not running.
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
