//! What the parts of a broker share: the state, and waiting for changes of it.

use std::{
    collections::HashMap,
    mem,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::Waker,
    time::Duration,
};

use rpcplugin_core::ServiceId;
use rpcplugin_proto::ConnInfo;
use rpcplugin_transport::{Stream, http2::PluginChannel, yamux};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Span;

use crate::{
    error::Unreachable,
    ids::FIRST_WELL_KNOWN,
    router::{LinkId, Reachability, Router, ServingId, Ticket},
    settings::{BrokerSettings, ListenAt, PeerOrigin, Role},
};

/// One broker.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) role: Role,
    pub(crate) settings: BrokerSettings,
    pub(crate) mode: Mode,
    /// Cancelled when the broker closes.
    pub(crate) closed: CancellationToken,
    /// The tasks that serve brokered services, and the task that owns the session.
    pub(crate) tasks: TaskTracker,
    /// See [`BrokerSettings::span`]. Replaced by an empty span when the broker is drained: handles to the broker can outlive
    /// the plugin, and a span ends when its last handle is dropped.
    span: Mutex<Span>,
    /// See [`Broker::host_channel`](crate::Broker::host_channel).
    pub(crate) host_channel: OnceLock<PluginChannel>,
    state: Mutex<State>,
    changed: Notify,
    last_id: AtomicU32,
}

/// How connections are made.
#[derive(Debug)]
pub(crate) enum Mode {
    Direct(ListenAt),
    Multiplexed,
}

/// The router, and the handles of the tasks and callers that carry out its decisions. The lock is held for single steps.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) router: Router,
    /// The writer of each link.
    pub(crate) writers: HashMap<LinkId, Waker>,
    /// Multiplexed mode: the listener of each id that is served.
    pub(crate) listeners: HashMap<ServiceId, mpsc::Sender<Stream>>,
    /// Multiplexed mode: the callers that wait for a stream.
    pub(crate) pending: HashMap<Ticket, Arc<Notify>>,
    /// Multiplexed mode: opened streams that their callers have not taken yet.
    pub(crate) opened: HashMap<Ticket, yamux::Stream>,
    /// Multiplexed mode: the session.
    pub(crate) session: Session,
    /// Multiplexed mode: closes the session.
    pub(crate) closer: Option<yamux::Closer>,
}

/// The connection that carries all others in multiplexed mode.
#[derive(Debug)]
pub(crate) enum Session {
    NotYet,
    Open(yamux::Session),
    Ended(yamux::Error),
}

/// Why a wait has ended without its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitError {
    Closed,
    TimedOut,
}

impl Shared {
    pub(crate) fn new(role: Role, mut settings: BrokerSettings, mode: Mode) -> Arc<Self> {
        let router = match mode {
            Mode::Direct(_) => Router::direct(role, settings.unused_address_timeout),
            Mode::Multiplexed => Router::multiplexed(role, settings.peer_timeout),
        };
        let (router, last_id) = match settings.peer_origin {
            PeerOrigin::Launched => (router, 0),
            // The lower half of the ids that are counted, so that there is room above it.
            PeerOrigin::Attached => (router.attached(), fastrand::u32(0..FIRST_WELL_KNOWN.0 / 2)),
        };
        let state = State {
            router,
            writers: HashMap::new(),
            listeners: HashMap::new(),
            pending: HashMap::new(),
            opened: HashMap::new(),
            session: Session::NotYet,
            closer: None,
        };
        Arc::new(Self {
            role,
            closed: settings.shutdown.child_token(),
            tasks: TaskTracker::new(),
            span: Mutex::new(mem::replace(&mut settings.span, Span::none())),
            settings,
            mode,
            host_channel: OnceLock::new(),
            state: Mutex::new(state),
            changed: Notify::new(),
            last_id: AtomicU32::new(last_id),
        })
    }

    /// Returns the next id that is not well-known.
    pub(crate) fn next_id(&self) -> ServiceId {
        loop {
            let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            if (1..FIRST_WELL_KNOWN.0).contains(&id) {
                return ServiceId(id);
            }
            // After two billion ids the count begins again. The first ids are no longer in use by then.
            self.last_id.store(0, Ordering::Relaxed);
        }
    }

    /// Reads the state, or changes it in a way that no task waits for.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.lock())
    }

    /// Changes the state, and then wakes the tasks that wait for the change.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let State { router, writers, pending, .. } = &mut *state;
        let updates = router.take_updates();
        updates.iter().filter_map(|ticket| pending.get(ticket)).for_each(|caller| caller.notify_one());
        let mut wakers: Vec<Waker> = router.take_changed().filter_map(|link| writers.remove(&link)).collect();
        wakers.extend(writers.extract_if(|link, _| !router.has_link(*link)).map(|(_, waker)| waker));
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        self.changed.notify_waiters();
        result
    }

    /// Takes a message of the peer.
    pub(crate) fn receive(&self, link: LinkId, message: ConnInfo) {
        tracing::trace!(service.id = message.service_id, knock = message.knock.is_some(), "message received");
        self.change(|state| {
            // All streams that the peer opened before it sent this message have come by now.
            let arrived = match &state.session {
                Session::Open(session) => session.waiting(),
                Session::NotYet | Session::Ended(_) => 0,
            };
            state.router.receive(link, message, arrived, now());
        });
    }

    /// Waits until `check` returns a value. Calls it at once, and after each change of the state.
    pub(crate) async fn until<R>(&self, check: impl FnMut(&mut State) -> Option<R>) -> Result<R, WaitError> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(WaitError::Closed),
            value = self.value_of(check) => Ok(value),
        }
    }

    /// Like [`until`](Self::until), with a deadline.
    pub(crate) async fn until_deadline<R>(
        &self,
        deadline: Instant,
        check: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<R, WaitError> {
        timeout_at(deadline, self.until(check)).await.unwrap_or(Err(WaitError::TimedOut))
    }

    async fn value_of<R>(&self, mut check: impl FnMut(&mut State) -> Option<R>) -> R {
        loop {
            if let Some(value) = self.look(&mut check) {
                return value;
            }
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            // Again, because the state may have changed before the notification was enabled.
            if let Some(value) = self.look(&mut check) {
                return value;
            }
            changed.await;
        }
    }

    /// Waits for a link to the peer.
    pub(crate) async fn link(&self, deadline: Instant) -> Result<(), Unreachable> {
        let up = |state: &mut State| match state.router.reachability() {
            Reachability::Up(_) => Some(Ok(())),
            Reachability::Down => None,
            Reachability::NoBroker => Some(Err(Unreachable::NoBroker)),
            Reachability::PeerClosed => Some(Err(Unreachable::PeerClosed)),
        };
        let waited = self.settings.peer_timeout;
        self.until_deadline(deadline, up).await.unwrap_or_else(|error| Err(error.unreachable(waited)))
    }

    /// Waits until the broker has closed and its tasks have ended.
    pub(crate) async fn drained(&self) {
        self.closed.cancelled().await;
        self.tasks.close();
        self.tasks.wait().await;
        let closer = self.look(|state| state.closer.clone());
        if let Some(closer) = closer {
            closer.close().await;
        }
        *self.span.lock().unwrap_or_else(PoisonError::into_inner) = Span::none();
    }

    /// Returns the span of the plugin.
    pub(crate) fn span(&self) -> Span {
        self.span.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends this use of the id.
    pub(crate) fn stop_serving(&self, id: ServiceId, serving: ServingId) {
        self.change(|state| {
            if state.router.is_serving(id, serving) {
                state.router.stop(id, serving);
                state.listeners.remove(&id);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every step leaves the state consistent, so that a panic in a step cannot break it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns why no message can come from the peer. Sets `was_up` if there is a link, and reports a missing link only if
    /// there was one.
    pub(crate) fn unreachable(&self, was_up: &mut bool) -> Option<Unreachable> {
        match self.router.reachability() {
            Reachability::Up(_) => {
                *was_up = true;
                None
            }
            Reachability::Down => was_up.then_some(Unreachable::StreamEnded),
            Reachability::NoBroker => Some(Unreachable::NoBroker),
            Reachability::PeerClosed => Some(Unreachable::PeerClosed),
        }
    }
}

impl WaitError {
    /// What the error means if a link was waited for.
    pub(crate) fn unreachable(self, waited: Duration) -> Unreachable {
        match self {
            Self::Closed => Unreachable::Closed,
            Self::TimedOut => Unreachable::NoStream(waited),
        }
    }
}

/// Returns the instant at which a timeout that begins now ends.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    // The clock cannot represent the sum. A year is longer than any process waits.
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(86_400 * 365))
}

/// The current time, as the router takes it.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timeout_beyond_the_clock_is_a_year() {
        let now = Instant::now();
        assert_eq!(deadline(Duration::from_secs(5)) - now, Duration::from_secs(5));
        assert_eq!(deadline(Duration::MAX) - now, Duration::from_secs(31_536_000));
    }
}
