//! The task that restarts a plugin.

use std::{pin::Pin, sync::Arc, time::Duration};

use rpcplugin_config::HostConfig;
use rpcplugin_core::with_causes;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tonic::Code;

use super::{
    budget::{Budget, Restart},
    error::{SetupFailure, SuperviseError},
    generation::Generation,
    state::State,
};
use crate::{
    command::name,
    error::PingError,
    exit::{Exit, ExitReason},
    host::Host,
    launch::{attempt, retry},
    observe::{event::Event, fan_out::PluginTopics},
    plugin::Plugin,
    process::runner::Runner,
};

/// Prepares a new generation.
pub(super) type Setup = Box<dyn Fn(Generation) -> SetupFuture + Send + Sync>;
type SetupFuture = Pin<Box<dyn Future<Output = Result<(), SetupFailure>> + Send>>;

/// A request of a [`Supervised`](super::supervised::Supervised) to its task.
#[derive(Debug)]
pub(super) enum Request {
    /// Ends the supervision.
    ShutDown { grace: Option<Duration>, done: oneshot::Sender<Option<Exit>> },
    /// Replaces the generation with this number, unless it has been replaced already.
    Restart { after: u64, done: oneshot::Sender<()> },
}

/// Launches the generations of a plugin, one after another.
pub(super) struct Supervisor<R> {
    host: Host,
    runner: R,
    name: String,
    setups: Vec<Setup>,
    topics: Arc<PluginTopics>,
    budget: Budget,
    state: watch::Sender<State>,
    /// The number of the last generation that was launched.
    last: u64,
}

/// The end of a generation.
enum Over {
    Exited(ExitReason),
    Hung(Duration),
    ShutDown { grace: Option<Duration>, done: oneshot::Sender<Option<Exit>> },
    Restart(oneshot::Sender<()>),
}

/// A launch that failed.
struct Failure {
    because: String,
    /// Whether the next launch may succeed.
    may_pass: bool,
}

/// The number of attempts to launch a generation.
enum Tries {
    /// As [`HostConfig::retry`] says. For the first generation, for which there is no budget.
    AsConfigured,
    /// Once. The budget of restarts applies to the rest.
    One,
}

impl<R: Runner> Supervisor<R> {
    /// Launches the first generation.
    pub(super) async fn start(
        host: Host,
        runner: R,
        setups: Vec<Setup>,
        topics: Arc<PluginTopics>,
    ) -> Result<(Self, Plugin), SuperviseError> {
        let budget = Budget::new(host.config.supervision.clone());
        let (state, _) = watch::channel(State::Down { last: 0, because: "it has not been launched".into() });
        let name = name(&runner.program());
        let mut supervisor = Self { host, runner, name, setups, topics, budget, state, last: 0 };
        let plugin = supervisor.launch(Tries::AsConfigured).await?;
        Ok((supervisor, plugin))
    }

    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Restarts the plugin until it is shut down or given up.
    pub(super) async fn run(mut self, first: Plugin, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut plugin = first;
        loop {
            let over = self.watch(&plugin, &mut requests).await;
            let next = match over {
                Over::Exited(reason) => {
                    let because = format!("{} has ended: {reason}", plugin.id());
                    self.set_down(&because);
                    plugin.kill().await;
                    self.revive(because, &mut requests).await
                }
                Over::Hung(after) => {
                    let because = format!("{} did not answer within {} s", plugin.id(), after.as_secs_f32());
                    self.set_down(&because);
                    plugin.publish(Event::Hung { after });
                    plugin.kill().await;
                    self.revive(because, &mut requests).await
                }
                Over::Restart(done) => {
                    self.set_down("its host restarts it");
                    plugin.shut_down().await;
                    let _ = done.send(());
                    self.replace(&mut requests).await
                }
                Over::ShutDown { grace, done } => {
                    self.state.send_replace(State::Stopped { last: self.last });
                    let grace = grace.unwrap_or(self.host.config.grace);
                    let _ = done.send(Some(plugin.shut_down_within(grace).await));
                    None
                }
            };
            let Some(next) = next else { return };
            plugin = next;
        }
    }

    /// Waits until one generation has ended or a request ends it.
    async fn watch(&self, plugin: &Plugin, requests: &mut mpsc::UnboundedReceiver<Request>) -> Over {
        let mut hung = std::pin::pin!(probe(plugin, &self.host.config));
        loop {
            let request = tokio::select! {
                biased;
                request = requests.recv() => request,
                reason = plugin.exit().wait() => return Over::Exited(reason),
                after = hung.as_mut() => return Over::Hung(after),
            };
            match request {
                None => return Over::ShutDown { grace: Some(Duration::ZERO), done: oneshot::channel().0 },
                Some(Request::ShutDown { grace, done }) => return Over::ShutDown { grace, done },
                Some(Request::Restart { after, done }) if after == self.last => return Over::Restart(done),
                Some(Request::Restart { done, .. }) => {
                    let _ = done.send(());
                }
            }
        }
    }

    /// Launches the next generation, as often as the budget allows. `None` if there will be no further generation.
    async fn revive(
        &mut self,
        mut because: String,
        requests: &mut mpsc::UnboundedReceiver<Request>,
    ) -> Option<Plugin> {
        loop {
            let Some(Restart { attempt, delay }) = self.budget.draw(Instant::now()) else {
                self.give_up(&because, requests).await;
                return None;
            };
            let plugin = &self.name;
            tracing::warn!(plugin, attempt, ?delay, because, "restarting the plugin");
            self.publish(Event::Restarting { attempt, delay });
            match self.launch_after(delay, requests).await? {
                Ok(plugin) => return Some(plugin),
                Err(failure) if failure.may_pass => because = failure.because,
                Err(failure) => {
                    self.give_up(&failure.because, requests).await;
                    return None;
                }
            }
        }
    }

    /// Launches the next generation at once. If that fails, launches it as often as the budget allows.
    async fn replace(&mut self, requests: &mut mpsc::UnboundedReceiver<Request>) -> Option<Plugin> {
        match self.launch_after(Duration::ZERO, requests).await? {
            Ok(plugin) => Some(plugin),
            Err(failure) if failure.may_pass => self.revive(failure.because, requests).await,
            Err(failure) => {
                self.give_up(&failure.because, requests).await;
                None
            }
        }
    }

    /// Launches the next generation after a pause. `None` if the plugin is shut down meanwhile.
    async fn launch_after(
        &mut self,
        delay: Duration,
        requests: &mut mpsc::UnboundedReceiver<Request>,
    ) -> Option<Result<Plugin, Failure>> {
        let launched = tokio::select! {
            // Dropping a launch kills its process.
            launched = async { sleep(delay).await; self.launch(Tries::One).await } => launched,
            done = shutdown_requested(requests) => {
                self.state.send_replace(State::Stopped { last: self.last });
                let _ = done.send(None);
                return None;
            }
        };
        Some(launched.map_err(|error| {
            let because =
                format!("it could not be started again: {}", with_causes(error.to_string(), &error));
            self.set_down(&because);
            let may_pass = match &error {
                SuperviseError::Launch(error) => error.fault.may_pass(),
                SuperviseError::Setup { .. } => true,
            };
            Failure { because, may_pass }
        }))
    }

    /// Gives the plugin up, and answers requests until the shutdown.
    async fn give_up(&self, because: &str, requests: &mut mpsc::UnboundedReceiver<Request>) {
        let restarts = self.budget.made_within_window();
        tracing::error!(plugin = self.name, restarts, because, "gave the plugin up");
        self.state.send_replace(State::GaveUp { last: self.last, because: because.into() });
        self.publish(Event::GaveUp { restarts });
        let _ = shutdown_requested(requests).await.send(None);
    }

    fn set_down(&self, because: &str) {
        self.state.send_replace(State::Down { last: self.last, because: because.into() });
    }

    /// Publishes an event of the plugin while it has no process.
    fn publish(&self, event: Event) {
        self.host.fan_out(&self.name, self.last, Arc::clone(&self.topics)).event(event);
    }

    async fn launch(&mut self, tries: Tries) -> Result<Plugin, SuperviseError> {
        self.last += 1;
        let fan_out = self.host.fan_out(&self.name, self.last, Arc::clone(&self.topics));
        let limit = self.host.config.launch_timeout;
        let plugin = match tries {
            Tries::AsConfigured => retry::launch(&self.host, &self.runner, &fan_out).await?,
            Tries::One => attempt::launch(&self.host, &self.runner, fan_out, limit).await?,
        };
        let generation = Generation::new(&plugin);
        let set_up = async {
            for setup in &self.setups {
                setup(generation.clone()).await?;
            }
            Ok(())
        };
        let set_up = timeout(limit, set_up).await.unwrap_or_else(|late| Err(late.into()));
        match set_up {
            Ok(()) => {
                self.state.send_replace(State::Ready(generation));
                Ok(plugin)
            }
            Err(source) => {
                let id = plugin.id();
                plugin.kill().await;
                Err(SuperviseError::Setup { plugin: id, source })
            }
        }
    }
}

/// Resolves with the timeout when the plugin does not answer a health call. Never resolves if the supervisor makes no
/// health calls.
///
/// A plugin without a health service, or with another status than serving, has answered.
async fn probe(plugin: &Plugin, config: &HostConfig) -> Duration {
    let Some(every) = config.supervision.probe_interval else { return std::future::pending().await };
    let deadline = config.supervision.probe_timeout;
    let mut ticks = interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        match plugin.ping_within(deadline).await {
            Err(PingError::Timeout(after)) => return after,
            // The connection broke and the process runs on: no call can reach the plugin.
            Err(PingError::Failed(status)) if status.code() == Code::Unavailable => return deadline,
            _ => {}
        }
    }
}

/// Resolves when the plugin is to be shut down, or its handle has been dropped. A request to restart is answered at once.
async fn shutdown_requested(
    requests: &mut mpsc::UnboundedReceiver<Request>,
) -> oneshot::Sender<Option<Exit>> {
    loop {
        match requests.recv().await {
            Some(Request::ShutDown { done, .. }) => return done,
            Some(Request::Restart { done, .. }) => drop(done.send(())),
            None => return oneshot::channel().0,
        }
    }
}
