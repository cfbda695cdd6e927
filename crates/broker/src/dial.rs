//! Dialling an id.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use rpcplugin_core::{Endpoint, ServiceId};
use rpcplugin_transport::{
    self as transport, Listen, SecureStream, Security, Services, Stream,
    http2::{self, ChannelError, Connect, PluginChannel},
    yamux,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};
use tonic::Code;
use tracing::{Instrument as _, Span, field::Empty};

use crate::{
    broker::HOST_SERVICES,
    error::{DialError, Unreachable},
    router::{Claimed, NOTHING_OFFERED, Progress, Reach, Router, Ticket},
    shared::{Missed, Session, Shared, State, Way, deadline, now},
};

/// Opens a channel to `id`.
pub(crate) async fn channel(shared: &Arc<Shared>, id: ServiceId) -> Result<PluginChannel, DialError> {
    let (first, endpoint) = open(shared, id).await?;
    let connect = Redial { shared: Arc::clone(shared), id, endpoint, first: Mutex::new(Some(first)) };
    Ok(http2::connect(connect, &shared.settings.http2).await?)
}

/// A channel that dials `id` with its first call, and whenever its connection broke.
pub(crate) fn lazy_channel(shared: &Arc<Shared>, id: ServiceId) -> PluginChannel {
    http2::connect_lazy(Lazy { shared: Arc::downgrade(shared), id }, &shared.settings.http2)
}

/// Opens a secured stream to `id`, and in direct mode tells where that was.
pub(crate) async fn open(
    shared: &Arc<Shared>,
    id: ServiceId,
) -> Result<(SecureStream, Option<Endpoint>), DialError> {
    let opening = async {
        let opened = match &shared.way {
            Way::Direct(_) => {
                open_direct(shared, id).await.map(|(stream, endpoint)| (stream, Some(endpoint)))
            }
            Way::Multiplexed => open_multiplexed(shared, id).await.map(|stream| (stream, None)),
        };
        match &opened {
            Ok(_) => tracing::debug!("brokered connection opened"),
            Err(error) => {
                Span::current().record("error", tracing::field::display(error));
            }
        }
        opened
    };
    let life = shared.span();
    let dialling = tracing::debug_span!(parent: &life, "broker", service.id = %id, error = Empty);
    opening.instrument(dialling).instrument(life).await
}

/// A connection that was made, and the way to make it again.
struct Redial {
    shared: Arc<Shared>,
    id: ServiceId,
    /// In direct mode: the same address serves for every connection of a channel.
    endpoint: Option<Endpoint>,
    first: Mutex<Option<SecureStream>>,
}

impl Connect for Redial {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (first, &self.endpoint) {
            (Some(stream), _) => Ok(stream),
            (None, Some(endpoint)) => dial(&self.shared, endpoint).await,
            (None, None) => {
                open(&self.shared, self.id).await.map(|(stream, _)| stream).map_err(as_connect_error)
            }
        }
    }
}

/// An id that is dialled when it is needed.
struct Lazy {
    /// Weak, because the broker itself owns such a channel.
    shared: Weak<Shared>,
    id: ServiceId,
}

impl Connect for Lazy {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let opened = match self.shared.upgrade() {
            Some(shared) => match open(&shared, self.id).await {
                Err(DialError::NothingOffered) => return Ok(refusing(shared).await?),
                opened => opened,
            },
            None => Err(Unreachable::Closed.into()),
        };
        opened.map(|(stream, _)| stream).map_err(as_connect_error)
    }
}

/// A stream to what answers every call with FAILED_PRECONDITION, since a channel has but one word for connections that cannot be
/// made. It ends when the host has offered something after all and this side can know it.
async fn refusing(shared: Arc<Shared>) -> Result<SecureStream, transport::SecureError> {
    let (near, far) = tokio::io::duplex(64 << 10);
    let services = Services::new().fallback(
        Code::FailedPrecondition,
        "the host offers its plugins no services: Host::callbacks is what offers them",
    );
    let over = shared.closed.child_token();
    let mut serving = http2::Serving::new(services, Security::Plain, over.clone());
    serving.grace = Duration::ZERO;
    let served = http2::serve(One(Some(Stream::other(far))), serving);
    let watched = Arc::clone(&shared);
    let direct = matches!(shared.way, Way::Direct(_));
    shared.serving.spawn(async move {
        let offered = async {
            let offered = |state: &mut State| (!state.router.is_refused(HOST_SERVICES)).then_some(());
            if direct && watched.until(offered).await.is_ok() {
                over.cancel();
            }
        };
        tokio::pin!(served);
        tokio::select! {
            () = &mut served => {}
            () = offered => served.await,
        }
    });
    Security::Plain.client(Stream::other(near)).await
}

/// A listener for one stream that is there.
struct One(Option<Stream>);

impl Listen for One {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.take()
    }
}

/// Waits for the address and dials it.
async fn open_direct(shared: &Shared, id: ServiceId) -> Result<(SecureStream, Endpoint), DialError> {
    let deadline = deadline(shared.settings.patience);
    let mut dead = None;
    loop {
        let claimed = match address(shared, id, deadline).await {
            Ok(claimed) => claimed,
            // That nobody listens any more where the service was says more than that no other address came.
            Err(error) => return Err(dead.unwrap_or(error)),
        };
        let announced = claimed.endpoint.map_err(|source| DialError::Address { id, source })?;
        let endpoint = match &shared.settings.translate {
            Some(translate) => {
                translate.dial_as(&announced).map_err(|source| DialError::Translate { id, source })?
            }
            None => announced.clone(),
        };
        match dial(shared, &endpoint).await {
            Ok(stream) => return Ok((stream, endpoint)),
            Err(error) if is_gone(&error) => {
                shared.change(|state| state.router.forget(id, &announced));
                if !claimed.again {
                    return Err(error.into());
                }
                // Its server has stopped since it was last dialled. The peer may serve the id anew.
                dead = Some(error.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until the peer says where `id` is.
async fn address(shared: &Shared, id: ServiceId, deadline: Instant) -> Result<Claimed, DialError> {
    let waited = shared.settings.patience;
    let mut was_up = false;
    let announced = |state: &mut State| match state.router.claim(id, now()) {
        Some(claimed) => Some(Ok(claimed)),
        None if state.router.is_refused(id) => Some(Err(DialError::NothingOffered)),
        None => out_of_reach(state, &mut was_up).map(|why| Err(why.into())),
    };
    match shared.until_deadline(deadline, announced).await {
        Ok(answer) => answer,
        Err(Missed::Late) if was_up => Err(DialError::Unannounced { id, waited }),
        Err(missed) => Err(missed.unreachable(waited).into()),
    }
}

/// Opens a secured stream to an address.
async fn dial(shared: &Shared, endpoint: &Endpoint) -> Result<SecureStream, ChannelError> {
    let deadline = shared.settings.http2.handshake_timeout;
    let opening = async {
        let stream = transport::dial(endpoint).await?;
        Ok(shared.settings.security.client(stream).await?)
    };
    timeout(deadline, opening).await.unwrap_or(Err(ChannelError::Timeout(deadline)))
}

/// Gets a stream once the peer lets this side in, and secures it.
///
/// # Protocol
/// go-plugin `grpc_broker.go` `muxDial`. Differs: there one dialer waits for the other, however long that takes.
async fn open_multiplexed(shared: &Arc<Shared>, id: ServiceId) -> Result<SecureStream, DialError> {
    let waited = shared.settings.patience;
    let deadline = deadline(waited);
    session(shared, deadline).await?;
    shared.link(deadline).await?;
    let asking = Asking::new(shared, |router| router.want(id))?;
    let (mut was_up, mut reached) = (true, Progress::Waiting);
    // For its turn, for the peer's answer and for the stream it waits with fresh patience: each is another's business.
    let stream = loop {
        let next = |state: &mut State| match asking.outcome(state, id, &mut was_up) {
            Some(outcome) => Some(Some(outcome)),
            None => state.router.progress(asking.ticket).filter(|now| **now != reached).map(|now| {
                reached = now.clone();
                None
            }),
        };
        match asking.until(self::deadline(waited), next).await {
            Ok(None) => {}
            Ok(Some(outcome)) => break outcome,
            Err(Missed::Late) => break Err(DialError::Unanswered { id, waited }),
            Err(Missed::Closed) => break Err(Unreachable::Closed.into()),
        }
    }?;
    drop(asking);
    let deadline = shared.settings.http2.handshake_timeout;
    let securing = shared.settings.security.client(Stream::other(stream));
    let secured = timeout(deadline, securing).await.map_err(|_| ChannelError::Timeout(deadline))?;
    Ok(secured.map_err(ChannelError::from)?)
}

/// Gets a stream for which nobody has knocked.
pub(crate) async fn open_main(shared: &Arc<Shared>) -> Result<Stream, Unreachable> {
    let waited = shared.settings.patience;
    let deadline = deadline(waited);
    if matches!(shared.way, Way::Direct(_)) {
        return Err(Unreachable::NotMultiplexed);
    }
    session(shared, deadline).await?;
    let asking = Asking::new(shared, Router::want_main)?;
    let opened = |state: &mut State| match (asking.stream(state), &state.session) {
        (Some(stream), _) => Some(Ok(stream)),
        (None, Session::Ended(reason)) => Some(Err(Unreachable::Session(reason.clone()))),
        (None, Session::NotYet | Session::Open(_)) => None,
    };
    let opened = asking.until(deadline, opened).await;
    opened.unwrap_or_else(|missed| Err(missed.unreachable(waited))).map(Stream::other)
}

/// Somebody who waits for a stream, until this goes.
struct Asking<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    news: Arc<Notify>,
}

impl<'a> Asking<'a> {
    fn new(
        shared: &'a Shared,
        want: impl FnOnce(&mut Router) -> Option<Ticket>,
    ) -> Result<Self, Unreachable> {
        let news = Arc::new(Notify::new());
        let ticket = shared.change(|state| {
            let ticket = want(&mut state.router)?;
            state.askers.insert(ticket, Arc::clone(&news));
            Some(ticket)
        });
        Ok(Self { shared, ticket: ticket.ok_or(Unreachable::NotMultiplexed)?, news })
    }

    /// Waits until `check` has an answer. It is asked at once, and whenever there is news.
    async fn until<R>(
        &self,
        deadline: Instant,
        mut check: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<R, Missed> {
        let answered = async {
            loop {
                if let Some(answer) = self.shared.look(&mut check) {
                    return answer;
                }
                self.news.notified().await;
            }
        };
        tokio::select! {
            biased;
            () = self.shared.closed.cancelled() => Err(Missed::Closed),
            answered = timeout_at(deadline, answered) => answered.map_err(|_| Missed::Late),
        }
    }

    fn stream(&self, state: &mut State) -> Option<yamux::Stream> {
        state.opened.remove(&self.ticket)
    }

    /// What has come of a knock, once that is known.
    fn outcome(
        &self,
        state: &mut State,
        id: ServiceId,
        was_up: &mut bool,
    ) -> Option<Result<yamux::Stream, DialError>> {
        if let Some(stream) = self.stream(state) {
            return Some(Ok(stream));
        }
        if let Session::Ended(reason) = &state.session {
            return Some(Err(Unreachable::Session(reason.clone()).into()));
        }
        match state.router.progress(self.ticket) {
            Some(Progress::Refused(reason)) if id == HOST_SERVICES && reason == NOTHING_OFFERED => {
                Some(Err(DialError::NothingOffered))
            }
            Some(Progress::Refused(reason)) => Some(Err(DialError::Refused { id, reason: reason.clone() })),
            Some(Progress::Admitted) => None,
            Some(Progress::Waiting | Progress::Asked) => {
                out_of_reach(state, was_up).map(|why| Err(why.into()))
            }
            Some(Progress::Lost) | None => Some(Err(Unreachable::StreamEnded.into())),
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let unwanted = self.shared.change(|state| {
            state.router.give_back(self.ticket);
            state.askers.remove(&self.ticket);
            self.stream(state)
        });
        drop(unwanted);
    }
}

/// Waits for the multiplexed session.
async fn session(shared: &Shared, deadline: Instant) -> Result<yamux::Session, Unreachable> {
    let open = |state: &mut State| match &state.session {
        Session::NotYet => None,
        Session::Open(session) => Some(Ok(session.clone())),
        Session::Ended(reason) => Some(Err(Unreachable::Session(reason.clone()))),
    };
    let waited = shared.settings.patience;
    shared.until_deadline(deadline, open).await.unwrap_or_else(|missed| Err(missed.unreachable(waited)))
}

/// Why no message will come from the peer, if that is so. Remembers in `was_up` that there was a link to hope for.
fn out_of_reach(state: &State, was_up: &mut bool) -> Option<Unreachable> {
    match state.router.reach() {
        Reach::Up(_) => {
            *was_up = true;
            None
        }
        Reach::Down => was_up.then_some(Unreachable::StreamEnded),
        Reach::NoBroker => Some(Unreachable::NoBroker),
        Reach::PeerClosed => Some(Unreachable::PeerClosed),
    }
}

/// Whether nobody listens at the address that was dialled.
fn is_gone(error: &ChannelError) -> bool {
    let ChannelError::Connect(error) = error else { return false };
    matches!(error.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn as_connect_error(error: DialError) -> ChannelError {
    match error {
        DialError::Connect(error) => error,
        other => ChannelError::Other { what: "the brokered service cannot be reached", source: other.into() },
    }
}
