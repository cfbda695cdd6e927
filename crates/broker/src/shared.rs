//! What a broker, its servers and its streams have in common: the state, and a way to wait for it to change.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
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
    router::{FIRST_WELL_KNOWN, LinkId, Reach, Router, ServingId, Ticket},
    settings::{Arrival, BrokerSettings, Place, Side},
};

/// One broker.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) side: Side,
    pub(crate) settings: BrokerSettings,
    pub(crate) way: Way,
    /// Fires when the broker closes.
    pub(crate) closed: CancellationToken,
    /// The servers of brokered services, and what hands out the streams of a session.
    pub(crate) serving: TaskTracker,
    /// See [`BrokerSettings::span`]. None once the broker is drained: handles to the broker can outlive the plugin, and a span
    /// ends when nothing holds it.
    span: Mutex<Span>,
    /// See [`Broker::host_channel`](crate::Broker::host_channel).
    pub(crate) host_channel: OnceLock<PluginChannel>,
    state: Mutex<State>,
    changed: Notify,
    last_id: AtomicU32,
}

/// How connections are made.
#[derive(Debug)]
pub(crate) enum Way {
    Direct(Place),
    Multiplexed,
}

/// The state machine, and what its decisions are carried out with. The lock is held for single steps only.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) router: Router,
    /// Who writes the messages of each link.
    pub(crate) writers: HashMap<LinkId, Waker>,
    /// Multiplexed mode: who takes the streams of each id that is served.
    pub(crate) listeners: HashMap<ServiceId, mpsc::Sender<Stream>>,
    /// Multiplexed mode: who waits for a stream, each told only what concerns it.
    pub(crate) askers: HashMap<Ticket, Arc<Notify>>,
    /// Multiplexed mode: streams that were opened, for those who wait for them.
    pub(crate) opened: HashMap<Ticket, yamux::Stream>,
    /// Multiplexed mode: the session, once there is one.
    pub(crate) session: Session,
    /// Multiplexed mode: what ends it.
    pub(crate) closer: Option<yamux::Closer>,
}

/// The one connection of multiplexed mode.
#[derive(Debug)]
pub(crate) enum Session {
    NotYet,
    Open(yamux::Session),
    Ended(yamux::Error),
}

/// What was waited for did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    Closed,
    Late,
}

impl Shared {
    pub(crate) fn new(side: Side, mut settings: BrokerSettings, way: Way) -> Arc<Self> {
        let router = match way {
            Way::Direct(_) => Router::direct(side, settings.unclaimed),
            Way::Multiplexed => Router::multiplexed(side, settings.patience),
        };
        let (router, first_id) = match settings.arrival {
            Arrival::AtLaunch => (router, 0),
            Arrival::Attached => (router.attached(), somewhere()),
        };
        let state = State {
            router,
            writers: HashMap::new(),
            listeners: HashMap::new(),
            askers: HashMap::new(),
            opened: HashMap::new(),
            session: Session::NotYet,
            closer: None,
        };
        Arc::new(Self {
            side,
            closed: settings.shutdown.child_token(),
            serving: TaskTracker::new(),
            span: Mutex::new(mem::replace(&mut settings.span, Span::none())),
            settings,
            way,
            host_channel: OnceLock::new(),
            state: Mutex::new(state),
            changed: Notify::new(),
            last_id: AtomicU32::new(first_id),
        })
    }

    /// The next id that is not well-known.
    pub(crate) fn next_id(&self) -> ServiceId {
        loop {
            let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            if (1..FIRST_WELL_KNOWN.0).contains(&id) {
                return ServiceId(id);
            }
            // Two thousand million ids later they begin anew. Those of that time have long been served and forgotten.
            self.last_id.store(0, Ordering::Relaxed);
        }
    }

    /// Looks at the state, or changes it in a way that concerns nobody else.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.lock())
    }

    /// Changes the state, then wakes whoever is concerned.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let State { router, writers, askers, .. } = &mut *state;
        router.news().iter().filter_map(|ticket| askers.get(ticket)).for_each(|asker| asker.notify_one());
        let mut wakers: Vec<Waker> = router.touched().filter_map(|link| writers.remove(&link)).collect();
        if writers.keys().any(|link| !router.has_link(*link)) {
            wakers.extend(writers.extract_if(|link, _| !router.has_link(*link)).map(|(_, waker)| waker));
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        self.changed.notify_waiters();
        result
    }

    /// Takes in what the peer says on a link.
    pub(crate) fn receive(&self, link: LinkId, message: ConnInfo) {
        tracing::trace!(service.id = message.service_id, knock = message.knock.is_some(), "message received");
        self.change(|state| {
            // What the peer opened before it said this has come by now.
            let arrived = match &state.session {
                Session::Open(session) => session.waiting(),
                Session::NotYet | Session::Ended(_) => 0,
            };
            state.router.receive(link, message, arrived, now());
        });
    }

    /// Waits until `check` has an answer. It is asked at once, and whenever the state has changed.
    pub(crate) async fn until<R>(&self, check: impl FnMut(&mut State) -> Option<R>) -> Result<R, Missed> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Missed::Closed),
            answer = self.answered(check) => Ok(answer),
        }
    }

    /// The same, but not for ever.
    pub(crate) async fn until_deadline<R>(
        &self,
        deadline: Instant,
        check: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<R, Missed> {
        timeout_at(deadline, self.until(check)).await.unwrap_or(Err(Missed::Late))
    }

    async fn answered<R>(&self, mut check: impl FnMut(&mut State) -> Option<R>) -> R {
        loop {
            if let Some(answer) = self.look(&mut check) {
                return answer;
            }
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            // Again, for what happened before the notification was asked for.
            if let Some(answer) = self.look(&mut check) {
                return answer;
            }
            changed.await;
        }
    }

    /// Waits for a link to the peer.
    pub(crate) async fn link(&self, deadline: Instant) -> Result<(), Unreachable> {
        let up = |state: &mut State| match state.router.reach() {
            Reach::Up(_) => Some(Ok(())),
            Reach::Down => None,
            Reach::NoBroker => Some(Err(Unreachable::NoBroker)),
            Reach::PeerClosed => Some(Err(Unreachable::PeerClosed)),
        };
        let waited = self.settings.patience;
        self.until_deadline(deadline, up).await.unwrap_or_else(|missed| Err(missed.unreachable(waited)))
    }

    /// Waits until the broker has closed and nothing of it is left.
    pub(crate) async fn drained(&self) {
        self.closed.cancelled().await;
        self.serving.close();
        self.serving.wait().await;
        let closer = self.look(|state| state.closer.clone());
        if let Some(closer) = closer {
            closer.close().await;
        }
        *self.span.lock().unwrap_or_else(PoisonError::into_inner) = Span::none();
    }

    /// The span of the plugin whose broker this is.
    pub(crate) fn span(&self) -> Span {
        self.span.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives an id back.
    pub(crate) fn stop_serving(&self, id: ServiceId, serving: ServingId) {
        self.change(|state| {
            if state.router.is_serving(id, serving) {
                state.router.stop(id, serving);
                state.listeners.remove(&id);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every step leaves the state whole, so that a panic in between, should there be one, cannot have broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Missed {
    /// What it means when a link was waited for.
    pub(crate) fn unreachable(self, waited: Duration) -> Unreachable {
        match self {
            Self::Closed => Unreachable::Closed,
            Self::Late => Unreachable::NoStream(waited),
        }
    }
}

/// Where to begin to count: somewhere in the lower half of what is counted, so that two that begin somewhere do not meet.
fn somewhere() -> u32 {
    let random = RandomState::new().hash_one(());
    u32::try_from(random % u64::from(FIRST_WELL_KNOWN.0 / 2)).unwrap_or_default()
}

/// The time at which patience ends.
pub(crate) fn deadline(patience: Duration) -> Instant {
    let now = Instant::now();
    // No program runs for as long as it takes to reach the end of the clock.
    now.checked_add(patience).unwrap_or(now + Duration::from_secs(86_400 * 365))
}

/// The time, as the state machine takes it.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}
