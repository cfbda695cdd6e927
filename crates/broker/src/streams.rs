//! Multiplexed mode: the streams that come in on the session.

use std::sync::Arc;

use rpcplugin_transport::{Listen, Stream, yamux};
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::{
    settings::Side,
    shared::{Session, Shared, now},
};

/// The incoming streams of a multiplexed session that are nobody's brokered connection.
///
/// On a plugin these are main connections, to be served with the plugin's own services. On a host there are none. Ends
/// when the session does, or the broker closes.
#[derive(Debug)]
pub struct MainStreams(mpsc::Receiver<Stream>);

impl Listen for MainStreams {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

/// Takes charge of a session: from now on every stream that comes in goes to whom it is for.
pub(crate) fn take_charge(shared: &Arc<Shared>, session: yamux::Session) -> MainStreams {
    shared.change(|state| {
        state.router.new_session();
        state.closer = Some(session.closer());
        state.session = Session::Open(session.clone());
    });
    let (main, streams) = mpsc::channel(BACKLOG);
    let span = shared.span();
    let tasks = shared.serving.clone();
    let shared = Arc::clone(shared);
    let taking = async move {
        let end = tokio::select! {
            biased;
            () = shared.closed.cancelled() => yamux::Error::Closed,
            end = distribute(&shared, &session, &main) => end,
            end = open(&shared, &session) => end,
        };
        tracing::debug!(reason = %end, "no more streams come in");
        shared.change(|state| {
            state.session = Session::Ended(end);
            state.listeners.clear();
            state.askers.values().for_each(|asker| asker.notify_one());
            std::mem::take(&mut state.opened)
        });
    };
    tasks.spawn(taking.instrument(span));
    MainStreams(streams)
}

/// Hands out streams until the session ends, and returns why it did. Never waits for whom a stream is for.
async fn distribute(shared: &Shared, session: &yamux::Session, main: &mpsc::Sender<Stream>) -> yamux::Error {
    while session.acceptable().await {
        // In one step: a stream that was accepted and is not routed yet would count as one that has not come.
        let accepted = shared.look(|state| {
            let stream = session.try_accept()?;
            let listener = match state.router.route(now()) {
                Some(id) => state.listeners.get(&id).cloned(),
                None if shared.side == Side::Plugin => Some(main.clone()),
                None => None,
            };
            Some((stream, listener))
        });
        let Some((stream, listener)) = accepted else { continue };
        // A stream that nobody takes is reset by being dropped: its listener has gone since it let it in, or takes none
        // because too many wait.
        if listener.is_none_or(|listener| listener.try_send(Stream::other(stream)).is_err()) {
            tracing::debug!("a stream came for which nobody listens");
        }
    }
    session.closed().await
}

/// Opens the streams of this side, one after the other in the order in which the peer expects them, until the session
/// ends, and returns why it did. The peer expects also those that nobody wants any more; they are closed at once.
async fn open(shared: &Shared, session: &yamux::Session) -> yamux::Error {
    loop {
        let Ok((ticket, on_its_way)) = shared.until(|state| state.router.next_opening()).await else {
            return yamux::Error::Closed;
        };
        let opened = if on_its_way { session.open().await } else { session.open_soon().await };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        let unwanted = shared.change(|state| {
            if !state.router.opened() {
                return Some(stream);
            }
            if let Some(asker) = state.askers.get(&ticket) {
                asker.notify_one();
            }
            state.opened.insert(ticket, stream)
        });
        drop(unwanted);
    }
}

/// Streams that may wait for one listener: as many as yamux lets a peer open without an answer.
pub(crate) const BACKLOG: usize = 256;
