//! Serving under an id.

use std::sync::Arc;

use rpcplugin_core::ServiceId;
use rpcplugin_transport::{
    Listen, Listener, MessageLimits, PendingConnection, SecureError, SecureStream, Services, Stream,
    http2::{self, Serving},
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    error::{ServeError, Unreachable},
    router::{Reach, ServingId},
    settings::Place,
    shared::{Session, Shared, State, Way, deadline, now},
    streams::BACKLOG,
};

/// A service that is being served. Dropping this ends it at once: its socket is removed, its calls are cut.
#[derive(Debug)]
#[must_use = "dropping it ends the service"]
pub struct Brokered {
    registration: Arc<Registration>,
    task: JoinHandle<()>,
    shutdown: CancellationToken,
    detached: bool,
}

impl Brokered {
    /// The number that the peer has to dial.
    #[must_use]
    pub fn id(&self) -> ServiceId {
        self.registration.id
    }

    /// Stops serving: no further connection is accepted, and calls that are under way may go on for the
    /// [grace](crate::BrokerSettings::grace) period. When this returns, no connection and no socket is left.
    ///
    /// # Cancel safety
    /// Dropping the future ends everything at once.
    pub async fn stop(mut self) {
        self.registration.end();
        self.shutdown.cancel();
        // It is never aborted before `self` is dropped, and a panic is none of ours. Who has waited for it already must
        // not wait again.
        if !self.task.is_finished() {
            let _ = (&mut self.task).await;
        }
    }

    /// Waits until serving has ended by itself: because the broker was closed, which is no error, or because the peer
    /// can never call.
    ///
    /// # Errors
    /// [`Unreachable::NoBroker`] or [`PeerClosed`](Unreachable::PeerClosed) when the peer turned out to have no broker
    /// after this side had told it of the service; [`Session`](Unreachable::Session) when the multiplexed connection
    /// ended.
    ///
    /// # Cancel safety
    /// Safe to drop and to call again.
    pub async fn finished(&mut self) -> Result<(), ServeError> {
        let shared = &self.registration.shared;
        let never = |state: &mut State| match (&state.session, state.router.reach()) {
            (Session::Ended(reason), _) => Some(Unreachable::Session(reason.clone())),
            (_, Reach::NoBroker) => Some(Unreachable::NoBroker),
            (_, Reach::PeerClosed) => Some(Unreachable::PeerClosed),
            (_, Reach::Up(_) | Reach::Down) => None,
        };
        match shared.until(never).await {
            Ok(reason) => Err(reason.into()),
            Err(_) => {
                if !self.task.is_finished() {
                    let _ = (&mut self.task).await;
                }
                Ok(())
            }
        }
    }

    /// Serves until the broker closes, without this handle.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl Drop for Brokered {
    fn drop(&mut self) {
        if !self.detached {
            self.registration.end();
            self.task.abort();
        }
    }
}

/// Connections to an id, as bare streams. Dropping this gives the id back.
#[derive(Debug)]
pub struct Incoming {
    source: Source,
    /// Connections that have come in.
    securing: JoinSet<Result<SecureStream, SecureError>>,
    /// There will be no more.
    over: bool,
    registration: Registration,
}

impl Incoming {
    /// The number that the peer has to dial.
    #[must_use]
    pub fn id(&self) -> ServiceId {
        self.registration.id
    }

    /// The next connection, secured as the main one is. `None` when there will be no more. One that fails concerns
    /// its peer only: there may be others.
    ///
    /// # Cancel safety
    /// Safe to drop and to call again.
    pub async fn accept(&mut self) -> Option<Result<SecureStream, SecureError>> {
        let shared = Arc::clone(&self.registration.shared);
        loop {
            let takes_more = !self.over && self.securing.len() < BACKLOG;
            tokio::select! {
                biased;
                () = shared.closed.cancelled() => return None,
                Some(secured) = self.securing.join_next() => {
                    // One that was closed to make room for another is an error of its peer's.
                    return Some(secured.unwrap_or_else(|ended| Err(SecureError(ended.into()))));
                }
                stream = self.source.accept(), if takes_more => match stream {
                    // In a task of its own: one that says nothing makes no other wait.
                    Some(stream) => {
                        let newcomer = PendingConnection::new(&stream);
                        let secured = secure(Arc::clone(&shared), stream, newcomer.clone());
                        newcomer.set_task(self.securing.spawn(secured));
                    }
                    None => {
                        self.over = true;
                        continue;
                    }
                },
                else => return None,
            };
        }
    }
}

async fn secure(
    shared: Arc<Shared>,
    stream: Stream,
    newcomer: PendingConnection,
) -> Result<SecureStream, SecureError> {
    let deadline = shared.settings.http2.handshake_timeout;
    let secured = timeout(deadline, shared.settings.security.server(stream)).await;
    // From now on it is whose who takes it in.
    newcomer.called();
    secured.unwrap_or_else(|late| Err(SecureError(late.into())))
}

/// Where connections come from.
#[derive(Debug)]
enum Source {
    Socket(Listener),
    Streams(mpsc::Receiver<Stream>),
}

impl Listen for Source {
    async fn accept(&mut self) -> Option<Stream> {
        match self {
            Self::Socket(listener) => listener.accept().await,
            Self::Streams(streams) => streams.recv().await,
        }
    }
}

/// An id that is in use, until this goes or is ended.
#[derive(Debug)]
struct Registration {
    shared: Arc<Shared>,
    id: ServiceId,
    serving: ServingId,
}

impl Registration {
    fn end(&self) {
        self.shared.stop_serving(self.id, self.serving);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes in connections to `id`, or to the next free one, once the peer can be told.
pub(crate) async fn listen(shared: &Arc<Shared>, id: Option<ServiceId>) -> Result<Incoming, ServeError> {
    shared.link(deadline(shared.settings.patience)).await?;
    listen_unheard(shared, id).await
}

/// Takes in connections to `id`, or to the next free one. The peer is told when it can be.
pub(crate) async fn listen_unheard(
    shared: &Arc<Shared>,
    id: Option<ServiceId>,
) -> Result<Incoming, ServeError> {
    if shared.closed.is_cancelled() {
        return Err(Unreachable::Closed.into());
    }
    let (source, streams, endpoint) = match &shared.way {
        Way::Direct(place) => {
            let listener = bind(place).await?;
            let endpoint = listener.endpoint().clone();
            (Source::Socket(listener), None, Some(endpoint))
        }
        Way::Multiplexed => {
            let (sender, streams) = mpsc::channel(BACKLOG);
            (Source::Streams(streams), Some(sender), None)
        }
    };
    loop {
        let fresh = id.is_none();
        let id = id.unwrap_or_else(|| shared.next_id());
        let endpoint = match (&shared.settings.translate, &endpoint) {
            (Some(translate), Some(endpoint)) => {
                let told = translate.announce_as(endpoint);
                Some(told.map_err(|source| ServeError::Translate { id, source })?)
            }
            _ => endpoint.clone(),
        };
        let serving = shared.change(|state| {
            let serving = state.router.serve(id, endpoint, now())?;
            // Before anybody can see that the peer was let in.
            if let Some(sender) = &streams {
                state.listeners.insert(id, sender.clone());
            }
            Some(serving)
        });
        match serving {
            Some(serving) => {
                tracing::debug!(service.id = %id, "listening for brokered connections");
                let registration = Registration { shared: Arc::clone(shared), id, serving };
                return Ok(Incoming { source, securing: JoinSet::new(), over: false, registration });
            }
            None if fresh => {}
            None => return Err(ServeError::InUse { id }),
        }
    }
}

/// Serves on what [`listen`] gave.
pub(crate) fn serve(incoming: Incoming, services: Services) -> Brokered {
    let Incoming { source, registration, .. } = incoming;
    let registration = Arc::new(registration);
    let Shared { settings, closed, .. } = &*registration.shared;
    let shutdown = closed.child_token();
    // As on the main connection: a call that belongs to a trace is served within it.
    let limits =
        MessageLimits::new(settings.http2.max_receive_message_size, settings.http2.max_send_message_size);
    let services = settings.layers.wrap(services.limited(limits)).traced();
    let mut serving = Serving::new(services, settings.security.clone(), shutdown.clone());
    serving.settings = settings.http2.clone();
    serving.grace = settings.grace;
    let life = registration.shared.span();
    let span = tracing::debug_span!(parent: &life, "broker", service.id = %registration.id);
    let kept = Arc::clone(&registration);
    let serve = async move {
        http2::serve(source, serving).await;
        drop(kept);
    };
    let task = registration.shared.serving.spawn(serve.instrument(span).instrument(life));
    Brokered { registration, task, shutdown, detached: false }
}

async fn bind(place: &Place) -> Result<Listener, rpcplugin_transport::BindError> {
    match place {
        Place::Unix(dir) => Listener::unix_in(dir),
        Place::Tcp { host, ports } => Listener::tcp(*host, ports.clone()).await,
    }
}
