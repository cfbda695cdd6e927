//! Serving under an id, and accepting connections to it.

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
    error::{AcceptError, Unreachable},
    router::{Reachability, ServingId},
    session::BACKLOG,
    settings::ListenAt,
    shared::{Mode, Session, Shared, State, deadline, now},
};

/// The handle of a brokered service. Dropping it ends the service at once: its socket is removed and its calls are
/// cancelled.
#[derive(Debug)]
#[must_use = "dropping the handle ends the service"]
pub struct ServiceHandle {
    registration: Arc<Registration>,
    task: JoinHandle<()>,
    shutdown: CancellationToken,
    detached: bool,
}

impl ServiceHandle {
    /// Returns the id that the peer must dial.
    #[must_use]
    pub fn id(&self) -> ServiceId {
        self.registration.id
    }

    /// Stops the service. No further connection is accepted, and calls in flight have the
    /// [grace](crate::BrokerSettings::grace) to finish. When this returns, no connection and no socket is left.
    ///
    /// # Cancel safety
    /// Dropping the future ends the service at once.
    pub async fn stop(mut self) {
        self.registration.end();
        self.shutdown.cancel();
        // The task is aborted only on drop, and a panic in it is not an error here. A finished task must not be polled
        // again.
        if !self.task.is_finished() {
            let _ = (&mut self.task).await;
        }
    }

    /// Waits until the service can no longer be called. Returns `Ok` if the broker was closed.
    ///
    /// # Errors
    /// - [`Unreachable::NoBroker`] or [`Unreachable::PeerClosed`] if the peer has no open broker.
    /// - [`Unreachable::Session`] if the multiplexed connection has ended.
    ///
    /// # Cancel safety
    /// Safe to drop and to call again.
    pub async fn finished(&mut self) -> Result<(), AcceptError> {
        let shared = &self.registration.shared;
        let never = |state: &mut State| match (&state.session, state.router.reachability()) {
            (Session::Ended(reason), _) => Some(Unreachable::Session(reason.clone())),
            (_, Reachability::NoBroker) => Some(Unreachable::NoBroker),
            (_, Reachability::PeerClosed) => Some(Unreachable::PeerClosed),
            (_, Reachability::Up(_) | Reachability::Down) => None,
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

    /// Drops the handle and keeps the service until the broker closes.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl Drop for ServiceHandle {
    fn drop(&mut self) {
        if !self.detached {
            self.registration.end();
            self.task.abort();
        }
    }
}

/// The incoming connections of an id, as streams without gRPC. Dropping it frees the id.
#[derive(Debug)]
pub struct Incoming {
    source: Source,
    /// Connections whose TLS handshake is in progress.
    securing: JoinSet<Result<SecureStream, SecureError>>,
    /// The source has ended.
    ended: bool,
    registration: Registration,
}

impl Incoming {
    /// Returns the id that the peer must dial.
    #[must_use]
    pub fn id(&self) -> ServiceId {
        self.registration.id
    }

    /// Returns the next connection, secured as the main one is, or `None` when no more can come. An error is that of one
    /// connection. Others may follow.
    ///
    /// # Cancel safety
    /// Safe to drop and to call again.
    pub async fn accept(&mut self) -> Option<Result<SecureStream, SecureError>> {
        let shared = Arc::clone(&self.registration.shared);
        while !(self.ended && self.securing.is_empty()) {
            let takes_more = !self.ended && self.securing.len() < BACKLOG;
            tokio::select! {
                biased;
                () = shared.closed.cancelled() => return None,
                Some(secured) = self.securing.join_next() => {
                    // A connection that was closed to make room for another has failed.
                    return Some(secured.unwrap_or_else(|ended| Err(SecureError(ended.into()))));
                }
                stream = self.source.accept(), if takes_more => match stream {
                    // In a task of its own, so that a silent connection does not delay others.
                    Some(stream) => {
                        let pending = PendingConnection::new(&stream);
                        let secured = secure(Arc::clone(&shared), stream, pending.clone());
                        pending.set_task(self.securing.spawn(secured));
                    }
                    None => self.ended = true,
                },
            }
        }
        None
    }
}

async fn secure(
    shared: Arc<Shared>,
    stream: Stream,
    pending: PendingConnection,
) -> Result<SecureStream, SecureError> {
    let handshake_timeout = shared.settings.http2.handshake_timeout;
    let secured = timeout(handshake_timeout, shared.settings.security.server(stream)).await;
    // From now on the connection is not closed to make room for another.
    pending.called();
    secured.unwrap_or_else(|late| Err(SecureError(late.into())))
}

/// The source of connections.
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

/// An id in use. It is free again after `end` or drop.
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

/// Accepts connections to `id`, or to the next free id, once there is a link on which to announce it.
pub(crate) async fn listen(shared: &Arc<Shared>, id: Option<ServiceId>) -> Result<Incoming, AcceptError> {
    shared.link(deadline(shared.settings.peer_timeout)).await?;
    listen_without_link(shared, id).await
}

/// Accepts connections to `id`, or to the next free id. Without a link, the id is announced on the next link.
pub(crate) async fn listen_without_link(
    shared: &Arc<Shared>,
    id: Option<ServiceId>,
) -> Result<Incoming, AcceptError> {
    if shared.closed.is_cancelled() {
        return Err(Unreachable::Closed.into());
    }
    let (source, streams, endpoint) = match &shared.mode {
        Mode::Direct(listen_at) => {
            let listener = bind(listen_at).await?;
            let endpoint = listener.endpoint().clone();
            (Source::Socket(listener), None, Some(endpoint))
        }
        Mode::Multiplexed => {
            let (sender, streams) = mpsc::channel(BACKLOG);
            (Source::Streams(streams), Some(sender), None)
        }
    };
    loop {
        let fresh = id.is_none();
        let id = id.unwrap_or_else(|| shared.next_id());
        let endpoint = match (&shared.settings.translate, &endpoint) {
            (Some(translate), Some(endpoint)) => {
                let translated = translate.announce_as(endpoint);
                Some(translated.map_err(|source| AcceptError::Translate { id, source })?)
            }
            _ => endpoint.clone(),
        };
        let serving = shared.change(|state| {
            let serving = state.router.serve(id, endpoint, now())?;
            // In the same step, because the router may have let the peer in.
            if let Some(sender) = &streams {
                state.listeners.insert(id, sender.clone());
            }
            Some(serving)
        });
        match serving {
            Some(serving) => {
                tracing::debug!(service.id = %id, "listening for brokered connections");
                let registration = Registration { shared: Arc::clone(shared), id, serving };
                return Ok(Incoming { source, securing: JoinSet::new(), ended: false, registration });
            }
            None if fresh => {}
            None => return Err(AcceptError::IdInUse { id }),
        }
    }
}

/// Serves gRPC services on incoming connections.
pub(crate) fn serve(incoming: Incoming, services: Services) -> ServiceHandle {
    let Incoming { source, registration, .. } = incoming;
    let registration = Arc::new(registration);
    let Shared { settings, closed, .. } = &*registration.shared;
    let shutdown = closed.child_token();
    // Tracing is as on the main connection: a call that belongs to a trace is served within it.
    let limits =
        MessageLimits::new(settings.http2.max_receive_message_size, settings.http2.max_send_message_size);
    let services = settings.layers.wrap(services.limited(limits)).traced();
    let mut serving = Serving::new(services, settings.security.clone(), shutdown.clone());
    serving.settings = settings.http2.clone();
    serving.grace = settings.grace;
    let plugin_span = registration.shared.span();
    let span = tracing::debug_span!(parent: &plugin_span, "broker", service.id = %registration.id);
    let kept = Arc::clone(&registration);
    let serve = async move {
        http2::serve(source, serving).await;
        drop(kept);
    };
    let task = registration.shared.tasks.spawn(serve.instrument(span).instrument(plugin_span));
    ServiceHandle { registration, task, shutdown, detached: false }
}

async fn bind(listen_at: &ListenAt) -> Result<Listener, rpcplugin_transport::BindError> {
    match listen_at {
        ListenAt::Unix(dir) => Listener::unix_in(dir),
        ListenAt::Tcp { host, ports } => Listener::tcp(*host, ports.clone()).await,
        ListenAt::Inherited(connection) => Ok(Listener::inherited_other(connection)),
    }
}
