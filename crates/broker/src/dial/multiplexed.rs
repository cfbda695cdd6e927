//! Multiplexed mode: knocking, and taking the stream that follows.

use std::sync::Arc;

use rpcplugin_core::ServiceId;
use rpcplugin_transport::{SecureStream, Stream, http2::ChannelError, yamux};
use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    error::{DialError, Unreachable},
    ids::HOST_SERVICES,
    router::{NO_HOST_SERVICES, Progress, Router, Ticket},
    shared::{Mode, Session, Shared, State, WaitError, deadline},
};

/// Opens a stream to `id` when the peer lets this side in, and secures it.
///
/// # Protocol
/// go-plugin `grpc_broker.go` `muxDial`. Differs: there each dialer waits for the earlier ones without a limit.
pub(super) async fn open(shared: &Arc<Shared>, id: ServiceId) -> Result<SecureStream, DialError> {
    let waited = shared.settings.peer_timeout;
    let deadline = deadline(waited);
    session(shared, deadline).await?;
    shared.link(deadline).await?;
    let request = PendingRequest::new(shared, |router| router.request_stream(id))?;
    let (mut was_up, mut reached) = (true, Progress::Waiting);
    // Each step has the whole timeout: its turn, the peer's reply, and the stream.
    let stream = loop {
        let next = |state: &mut State| match request.outcome(state, id, &mut was_up) {
            Some(outcome) => Some(Some(outcome)),
            None => state.router.progress(request.ticket).filter(|now| **now != reached).map(|now| {
                reached = now.clone();
                None
            }),
        };
        match request.until(self::deadline(waited), next).await {
            Ok(None) => {}
            Ok(Some(outcome)) => break outcome,
            Err(WaitError::TimedOut) => break Err(DialError::NoReply { id, waited }),
            Err(WaitError::Closed) => break Err(Unreachable::Closed.into()),
        }
    }?;
    drop(request);
    let handshake_timeout = shared.settings.http2.handshake_timeout;
    let securing = shared.settings.security.client(Stream::other(stream));
    let secured =
        timeout(handshake_timeout, securing).await.map_err(|_| ChannelError::Timeout(handshake_timeout))?;
    Ok(secured.map_err(ChannelError::from)?)
}

/// Opens a main connection, without a knock. It is not secured yet.
pub(super) async fn open_main(shared: &Arc<Shared>) -> Result<Stream, Unreachable> {
    let waited = shared.settings.peer_timeout;
    let deadline = deadline(waited);
    if matches!(shared.mode, Mode::Direct(_)) {
        return Err(Unreachable::NotMultiplexed);
    }
    session(shared, deadline).await?;
    let request = PendingRequest::new(shared, Router::request_main_stream)?;
    let opened = |state: &mut State| match (request.take_stream(state), &state.session) {
        (Some(stream), _) => Some(Ok(stream)),
        (None, Session::Ended(reason)) => Some(Err(Unreachable::Session(reason.clone()))),
        (None, Session::NotYet | Session::Open(_)) => None,
    };
    let opened = request.until(deadline, opened).await;
    opened.unwrap_or_else(|error| Err(error.unreachable(waited))).map(Stream::other)
}

/// A request for a stream. It is cancelled on drop.
struct PendingRequest<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    updates: Arc<Notify>,
}

impl<'a> PendingRequest<'a> {
    fn new(
        shared: &'a Shared,
        request: impl FnOnce(&mut Router) -> Option<Ticket>,
    ) -> Result<Self, Unreachable> {
        let updates = Arc::new(Notify::new());
        let ticket = shared.change(|state| {
            let ticket = request(&mut state.router)?;
            state.pending.insert(ticket, Arc::clone(&updates));
            Some(ticket)
        });
        Ok(Self { shared, ticket: ticket.ok_or(Unreachable::NotMultiplexed)?, updates })
    }

    /// Waits until `check` returns a value. Calls it at once, and after each update of this request.
    async fn until<R>(
        &self,
        deadline: Instant,
        mut check: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<R, WaitError> {
        let value = async {
            loop {
                if let Some(value) = self.shared.look(&mut check) {
                    return value;
                }
                self.updates.notified().await;
            }
        };
        tokio::select! {
            biased;
            () = self.shared.closed.cancelled() => Err(WaitError::Closed),
            value = timeout_at(deadline, value) => value.map_err(|_| WaitError::TimedOut),
        }
    }

    fn take_stream(&self, state: &mut State) -> Option<yamux::Stream> {
        state.opened.remove(&self.ticket)
    }

    /// Returns the result of the knock, if there is one yet.
    fn outcome(
        &self,
        state: &mut State,
        id: ServiceId,
        was_up: &mut bool,
    ) -> Option<Result<yamux::Stream, DialError>> {
        if let Some(stream) = self.take_stream(state) {
            return Some(Ok(stream));
        }
        if let Session::Ended(reason) = &state.session {
            return Some(Err(Unreachable::Session(reason.clone()).into()));
        }
        match state.router.progress(self.ticket) {
            Some(Progress::Refused(reason)) if id == HOST_SERVICES && reason == NO_HOST_SERVICES => {
                Some(Err(DialError::NoHostServices))
            }
            Some(Progress::Refused(reason)) => Some(Err(DialError::Refused { id, reason: reason.clone() })),
            Some(Progress::Admitted) => None,
            Some(Progress::Waiting | Progress::Knocked) => {
                state.unreachable(was_up).map(|why| Err(why.into()))
            }
            Some(Progress::Lost) | None => Some(Err(Unreachable::StreamEnded.into())),
        }
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        let unused = self.shared.change(|state| {
            state.router.cancel(self.ticket);
            state.pending.remove(&self.ticket);
            self.take_stream(state)
        });
        drop(unused);
    }
}

/// Waits for the multiplexed session.
async fn session(shared: &Shared, deadline: Instant) -> Result<(), Unreachable> {
    let open = |state: &mut State| match &state.session {
        Session::NotYet => None,
        Session::Open(_) => Some(Ok(())),
        Session::Ended(reason) => Some(Err(Unreachable::Session(reason.clone()))),
    };
    let waited = shared.settings.peer_timeout;
    shared.until_deadline(deadline, open).await.unwrap_or_else(|error| Err(error.unreachable(waited)))
}
