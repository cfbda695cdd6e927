//! The channel that users of a supervised plugin keep.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tonic::{Status, body::Body};
use tower_service::Service;

use super::{WhileDown, generation::Generation, state::State};
use crate::{
    deadline::{deadline, set_deadline},
    explaining::CallFuture,
};

/// A channel to a supervised plugin for generated clients, whichever process it is. Cheap to clone.
///
/// A call goes to the generation that is ready when it is made. A call that is under way when the process dies fails
/// with a status that says how it died, as [`Plugin::explain`](crate::Plugin::explain) describes it; it is never made
/// a second time, since nobody knows how far it had got. A call that is made while there is no process waits for the
/// next one, or fails at once: see [`WhileDown`].
///
/// What has waited has that much less of its own deadline left.
#[derive(Clone)]
pub struct SupervisedChannel {
    name: Arc<str>,
    while_down: WhileDown,
    state: watch::Receiver<State>,
}

impl SupervisedChannel {
    pub(super) fn new(name: Arc<str>, while_down: WhileDown, state: watch::Receiver<State>) -> Self {
        Self { name, while_down, state }
    }

    /// The same plugin with another choice for calls that are made while it is down.
    #[must_use]
    pub fn while_down(mut self, while_down: WhileDown) -> Self {
        self.while_down = while_down;
        self
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let generation = match self.ready() {
            Some(generation) => generation,
            None => {
                let begun = Instant::now();
                let own = deadline(request.headers());
                let generation = self.wait(begun, own).await?;
                if let Some(own) = own {
                    set_deadline(request.headers_mut(), own.saturating_sub(begun.elapsed()));
                }
                generation
            }
        };
        generation.explaining().clone().send(request).await
    }

    /// The generation that takes calls, unless its process is known to be gone.
    fn ready(&self) -> Option<Generation> {
        let state = self.state.borrow();
        state.ready().filter(|generation| generation.explaining().ended().is_none()).cloned()
    }

    async fn wait(mut self, begun: Instant, own: Option<Duration>) -> Result<Generation, Status> {
        let bound = match self.while_down {
            WhileDown::Wait(bound) => bound,
            WhileDown::Fail => Duration::ZERO,
        };
        let limit = own.map_or(bound, |own| own.min(bound));
        // Beyond what the clock can tell there is no limit.
        let until = begun.checked_add(limit).unwrap_or_else(|| begun + FAR);
        let settled = |state: &State| {
            state.is_over() || state.ready().is_some_and(|ready| ready.explaining().ended().is_none())
        };
        let waited = timeout_at(until, self.state.wait_for(settled)).await;
        let late = match waited.map(|settled| settled.map(|state| state.clone())) {
            Ok(Ok(State::Ready(generation))) => return Ok(generation),
            Ok(Ok(over)) => return Err(refusal(&self.name, &over)),
            // The supervisor is gone.
            Ok(Err(_)) => return Err(refusal(&self.name, &State::Stopped { last: 0 })),
            Err(late) => late,
        };
        let why = match &*self.state.borrow() {
            State::Down { because, .. } => Arc::clone(because),
            _ => "its process is gone".into(),
        };
        let name = &self.name;
        let mut status = if own.is_some_and(|own| own <= bound) && !limit.is_zero() {
            Status::deadline_exceeded(format!(
                "the plugin {name} is down and was not started again within the call's deadline: {why}"
            ))
        } else if limit.is_zero() {
            Status::unavailable(format!("the plugin {name} is down and is being started again: {why}"))
        } else {
            let seconds = limit.as_secs_f32();
            Status::unavailable(format!("the plugin {name} is down since more than {seconds} s: {why}"))
        };
        status.set_source(Arc::new(late));
        Err(status)
    }
}

impl Service<Request<Body>> for SupervisedChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = CallFuture;

    /// Always ready: the call itself waits.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> CallFuture {
        Box::pin(self.clone().send(request))
    }
}

impl fmt::Debug for SupervisedChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisedChannel")
            .field("name", &self.name)
            .field("while_down", &self.while_down)
            .finish_non_exhaustive()
    }
}

fn refusal(name: &str, state: &State) -> Status {
    Status::unavailable(match state {
        State::GaveUp { because, .. } => format!("the plugin {name} was given up: {because}"),
        _ => format!("the plugin {name} has been stopped by its host"),
    })
}

/// A hundred years.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
