//! Multiplexed mode: the session, its incoming streams, and the opening of streams.

use std::sync::Arc;

use rpcplugin_transport::{Listen, Stream, yamux};
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::{
    settings::Role,
    shared::{Session, Shared, now},
};

/// The incoming main connections of a multiplexed session.
///
/// On a plugin these are served with the plugin's own services. A host has no such connections. Ends when the session ends or
/// the broker closes.
#[derive(Debug)]
pub struct MainStreams(mpsc::Receiver<Stream>);

impl Listen for MainStreams {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

/// Starts the task that owns the session: it hands out incoming streams and opens streams of this side.
pub(crate) fn start(shared: &Arc<Shared>, session: yamux::Session) -> MainStreams {
    shared.change(|state| {
        state.router.new_session();
        state.closer = Some(session.closer());
        state.session = Session::Open(session.clone());
    });
    let (main, streams) = mpsc::channel(BACKLOG);
    let span = shared.span();
    let tasks = shared.tasks.clone();
    let shared = Arc::clone(shared);
    let owner = async move {
        let end = tokio::select! {
            biased;
            () = shared.closed.cancelled() => yamux::Error::Closed,
            end = distribute(&shared, &session, &main) => end,
            end = open(&shared, &session) => end,
        };
        tracing::debug!(reason = %end, "the multiplexed session ended");
        shared.change(|state| {
            state.session = Session::Ended(end);
            state.listeners.clear();
            state.pending.values().for_each(|caller| caller.notify_one());
            std::mem::take(&mut state.opened)
        });
    };
    tasks.spawn(owner.instrument(span));
    MainStreams(streams)
}

/// Hands out incoming streams until the session ends, and returns why it ended. Does not wait for the listeners.
async fn distribute(shared: &Shared, session: &yamux::Session, main: &mpsc::Sender<Stream>) -> yamux::Error {
    while session.acceptable().await {
        // In one step, because a stream that is accepted and not yet routed would not be counted as arrived.
        let accepted = shared.look(|state| {
            let stream = session.try_accept()?;
            let listener = match state.router.route(now()) {
                Some(id) => state.listeners.get(&id).cloned(),
                None if shared.role == Role::Plugin => Some(main.clone()),
                None => None,
            };
            Some((stream, listener))
        });
        let Some((stream, listener)) = accepted else { continue };
        // Dropping the stream resets it. This happens when its listener has gone, or has too many streams waiting.
        if listener.is_none_or(|listener| listener.try_send(Stream::other(stream)).is_err()) {
            tracing::debug!("an incoming stream was reset: it has no listener");
        }
    }
    session.closed().await
}

/// Opens the streams of this side in the order in which the peer expects them, until the session ends, and returns why it
/// ended. The streams of cancelled tickets are expected too. They are closed at once.
async fn open(shared: &Shared, session: &yamux::Session) -> yamux::Error {
    loop {
        let Ok((ticket, flush)) = shared.until(|state| state.router.next_opening()).await else {
            return yamux::Error::Closed;
        };
        let opened = if flush { session.open().await } else { session.open_soon().await };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        let unused = shared.change(|state| {
            if !state.router.stream_opened() {
                return Some(stream);
            }
            if let Some(caller) = state.pending.get(&ticket) {
                caller.notify_one();
            }
            state.opened.insert(ticket, stream)
        });
        drop(unused);
    }
}

/// Streams that may wait for one listener: as many as yamux lets a peer open without an answer.
pub(crate) const BACKLOG: usize = 256;
