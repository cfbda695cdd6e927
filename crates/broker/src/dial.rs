//! Dialling an id.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use rpcplugin_core::{Endpoint, ServiceId};
use rpcplugin_transport::{
    self as transport, SecureStream, Stream,
    http2::{self, Connect, ConnectError},
    yamux,
};
use tokio::{
    sync::{Mutex as AsyncMutex, oneshot},
    time::{Instant, timeout},
};
use tonic::transport::Channel;
use tracing::{Instrument as _, Span, field::Empty};

use crate::{
    error::{DialError, Unreachable},
    router::{Admission, Claimed, Reach},
    shared::{Missed, Session, Shared, State, Way, deadline, now},
};

/// Opens a channel to `id`.
pub(crate) async fn channel(shared: &Arc<Shared>, id: ServiceId) -> Result<Channel, DialError> {
    let (first, endpoint) = open(shared, id).await?;
    let connect = Redial { shared: Arc::clone(shared), id, endpoint, first: Mutex::new(Some(first)) };
    Ok(http2::connect(connect, &shared.settings.http2).await?)
}

/// A channel that dials `id` with its first call, and whenever its connection broke.
pub(crate) fn lazy_channel(shared: &Arc<Shared>, id: ServiceId) -> Channel {
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
            Way::Multiplexed(turn) => open_multiplexed(shared, id, turn).await.map(|stream| (stream, None)),
        };
        match &opened {
            Ok(_) => tracing::debug!("brokered connection opened"),
            Err(error) => {
                Span::current().record("error", tracing::field::display(error));
            }
        }
        opened
    };
    let span = &shared.settings.span;
    let dialling = tracing::debug_span!(parent: span, "broker", service.id = %id, error = Empty);
    opening.instrument(dialling).instrument(span.clone()).await
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
    async fn connect(&self) -> Result<SecureStream, ConnectError> {
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
    async fn connect(&self) -> Result<SecureStream, ConnectError> {
        let opened = match self.shared.upgrade() {
            Some(shared) => open(&shared, self.id).await,
            None => Err(Unreachable::Closed.into()),
        };
        opened.map(|(stream, _)| stream).map_err(as_connect_error)
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
        None => out_of_reach(state, &mut was_up).map(|why| Err(why.into())),
    };
    match shared.until_deadline(deadline, announced).await {
        Ok(answer) => answer,
        Err(Missed::Late) if was_up => Err(DialError::Unannounced { id, waited }),
        Err(missed) => Err(missed.unreachable(waited).into()),
    }
}

/// Opens a secured stream to an address.
async fn dial(shared: &Shared, endpoint: &Endpoint) -> Result<SecureStream, ConnectError> {
    let deadline = shared.settings.http2.handshake_deadline;
    let opening = async {
        let stream = transport::dial(endpoint).await?;
        Ok(shared.settings.security.client(stream).await?)
    };
    timeout(deadline, opening).await.unwrap_or(Err(ConnectError::Silent(deadline)))
}

/// Knocks, opens a stream once let in, and secures it.
async fn open_multiplexed(
    shared: &Arc<Shared>,
    id: ServiceId,
    turn: &Arc<AsyncMutex<()>>,
) -> Result<SecureStream, DialError> {
    // One dialer at a time, from its knock to its stream: streams are told apart by their order alone.
    let turn = Arc::clone(turn).lock_owned().await;
    let (wanted, stream) = oneshot::channel();
    let shared_with_task = Arc::clone(shared);
    // In a task of its own: the stream that the peer expects has to come even if nobody wants it any more.
    let knocking = async move {
        let mut wanted = wanted;
        let stream = knock(&shared_with_task, id, wanted.closed()).await;
        drop(turn);
        // Whoever has gone in the meantime leaves a stream that is closed at once.
        let _ = wanted.send(stream);
    };
    tokio::spawn(knocking.in_current_span());
    // Only a runtime that stops drops the task.
    let stream = stream.await.map_err(|_| Unreachable::Closed)??;
    let deadline = shared.settings.http2.handshake_deadline;
    let securing = shared.settings.security.client(Stream::other(stream));
    let secured = timeout(deadline, securing).await.map_err(|_| ConnectError::Silent(deadline))?;
    Ok(secured.map_err(ConnectError::from)?)
}

/// From the knock to the stream, by whoever has the turn. Gives up when nobody wants it any more.
///
/// # Protocol
/// go-plugin `grpc_broker.go` `knock` and `muxDial`. Differs: an answer that comes too late is followed by a stream too,
/// which is closed at once, so that the peer's next stream does not go to the wrong listener.
async fn knock(
    shared: &Shared,
    id: ServiceId,
    unwanted: impl Future<Output = ()>,
) -> Result<yamux::Stream, DialError> {
    let waited = shared.settings.patience;
    let deadline = deadline(waited);
    let session = session(shared, deadline).await?;
    shared.link(deadline).await?;

    open_owed(shared, &session).await?;
    if !shared.change(|state| state.router.knock(id)) {
        return Err(Unreachable::StreamEnded.into());
    }
    let mut was_up = true;
    let answer = |state: &mut State| match state.router.take_answer() {
        Some(admission) => Some(Ok(admission)),
        None => out_of_reach(state, &mut was_up).map(Err),
    };
    let answer = tokio::select! {
        biased;
        answer = shared.until_deadline(deadline, answer) => answer,
        () = unwanted => Err(Missed::Late),
    };
    let answer = match answer {
        Ok(answer) => answer.map_err(DialError::from),
        Err(Missed::Late) => Err(DialError::Unanswered { id, waited }),
        Err(Missed::Closed) => Err(Unreachable::Closed.into()),
    };
    let Admission { verdict, owed_before } =
        answer.inspect_err(|_| shared.look(|state| state.router.give_up()))?;
    open_for_nobody(shared, &session, owed_before).await?;
    verdict.map_err(|reason| DialError::Refused { id, reason })?;
    Ok(open_stream(shared, &session).await?)
}

/// Opens a stream for which nobody has knocked. It waits for its turn like the others, since it would be taken for theirs
/// if it came between an answer and its stream.
pub(crate) async fn open_main(shared: &Shared) -> Result<Stream, Unreachable> {
    let Way::Multiplexed(turn) = &shared.way else { return Err(Unreachable::NotMultiplexed) };
    let _turn = turn.lock().await;
    let session = session(shared, deadline(shared.settings.patience)).await?;
    open_owed(shared, &session).await?;
    open_stream(shared, &session).await.map(Stream::other)
}

/// Opens the streams that the peer expects after answers that came too late, as soon as it is their turn.
pub(crate) async fn settle(shared: Arc<Shared>) {
    let Way::Multiplexed(turn) = &shared.way else { return };
    let _turn = turn.lock().await;
    let Ok(session) = session(&shared, Instant::now()).await else { return };
    // If it fails, so does everything else on this session.
    let _ = open_owed(&shared, &session).await;
}

async fn open_owed(shared: &Shared, session: &yamux::Session) -> Result<(), Unreachable> {
    let owed = shared.look(|state| state.router.take_owed());
    open_for_nobody(shared, session, owed).await
}

/// Opens streams that the peer expects and nobody wants: each is closed at once.
async fn open_for_nobody(shared: &Shared, session: &yamux::Session, owed: usize) -> Result<(), Unreachable> {
    for _ in 0..owed {
        open_stream(shared, session).await?;
    }
    Ok(())
}

async fn open_stream(shared: &Shared, session: &yamux::Session) -> Result<yamux::Stream, Unreachable> {
    tokio::select! {
        biased;
        () = shared.closed.cancelled() => Err(Unreachable::Closed),
        opened = session.open() => opened.map_err(Unreachable::Session),
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
fn is_gone(error: &ConnectError) -> bool {
    let ConnectError::Dial(error) = error else { return false };
    matches!(error.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn as_connect_error(error: DialError) -> ConnectError {
    match error {
        DialError::Connect(error) => error,
        other => ConnectError::Other { what: "the brokered service cannot be reached", source: other.into() },
    }
}
