//! The channel of a supervised plugin, which chooses a generation for each call.

use std::{pin::Pin, sync::Arc, time::Duration};

use rpcplugin_transport::http2::{Choose, PluginChannel};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tonic::Status;

use super::{state::State, while_down::WhileDown};

/// The generations of one plugin. A call goes to the one that is ready when the call is made.
pub(super) struct Generations {
    pub(super) name: Arc<str>,
    pub(super) while_down: WhileDown,
    pub(super) state: watch::Receiver<State>,
}

impl Choose for Generations {
    /// Returns the generation that takes calls, unless its process is known to have exited.
    fn ready(&self) -> Option<PluginChannel> {
        let state = self.state.borrow();
        Some(state.ready().filter(|generation| !generation.has_exited())?.channel())
    }

    fn wait(
        self: Arc<Self>,
        due: Option<Instant>,
    ) -> Pin<Box<dyn Future<Output = Result<PluginChannel, Status>> + Send>> {
        Box::pin(async move { self.settled(due).await })
    }
}

impl Generations {
    async fn settled(&self, due: Option<Instant>) -> Result<PluginChannel, Status> {
        let begun = Instant::now();
        let bound = match self.while_down {
            WhileDown::Wait(bound) => bound,
            WhileDown::Fail => Duration::ZERO,
        };
        // A bound that overflows the clock counts as no limit.
        let end = begun.checked_add(bound).unwrap_or_else(|| begun + FAR);
        let until = due.map_or(end, |due| due.min(end));
        let settled =
            |state: &State| state.is_over() || state.ready().is_some_and(|ready| !ready.has_exited());
        let mut state = self.state.clone();
        let waited = timeout_at(until, state.wait_for(settled)).await;
        let late = match waited.map(|settled| settled.map(|state| state.clone())) {
            Ok(Ok(State::Ready(generation))) => return Ok(generation.channel()),
            Ok(Ok(over)) => return Err(refusal(&self.name, &over)),
            // The supervisor has been dropped.
            Ok(Err(_)) => return Err(refusal(&self.name, &State::Stopped { last: 0 })),
            Err(late) => late,
        };
        let why = match &*self.state.borrow() {
            State::Down { because, .. } => Arc::clone(because),
            _ => "its process has exited".into(),
        };
        let name = &self.name;
        let mut status = if due.is_some_and(|due| due <= end) && !bound.is_zero() {
            Status::deadline_exceeded(format!(
                "the plugin {name} is down and was not started again within the call's deadline: {why}"
            ))
        } else if bound.is_zero() {
            Status::unavailable(format!("the plugin {name} is down and is being started again: {why}"))
        } else {
            let seconds = bound.as_secs_f32();
            Status::unavailable(format!("the plugin {name} is down since more than {seconds} s: {why}"))
        };
        status.set_source(Arc::new(late));
        Err(status)
    }
}

fn refusal(name: &str, state: &State) -> Status {
    Status::unavailable(match state {
        State::GaveUp { because, .. } => format!("the plugin {name} was given up: {because}"),
        _ => format!("the plugin {name} has been stopped by its host"),
    })
}

/// One hundred years.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
