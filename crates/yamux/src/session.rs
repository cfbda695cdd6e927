//! The handle of a session.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::Instrument;

use crate::config::Config;
use crate::driver::{Driver, Shared};
use crate::error::Error;
use crate::state::{Role, SessionState};
use crate::stream::Stream;

/// One side of a yamux session: opens and accepts [`Stream`]s over one connection.
///
/// Clones are cheap and speak of the same session. A task of its own carries the session; it ends, and the connection
/// with it, at the first of these:
/// - [`close`](Self::close) is called;
/// - the connection ends, or the peer breaks the protocol or stays silent;
/// - all clones have been dropped and so has the last [`Stream`]. Once all clones are dropped, the peer's further streams
///   are reset, and so are those nobody accepted. What was written to streams that were shut down still leaves, within
///   a second.
#[derive(Clone)]
pub struct Session {
    handle: Arc<Handle>,
}

/// What all clones share; its end is the end of the last clone.
struct Handle {
    shared: Arc<Shared>,
    closed: watch::Receiver<Option<Error>>,
}

impl Session {
    /// Starts a session as the side that go-plugin calls the yamux client: the host, whose streams have odd ids.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time enabled.
    #[must_use]
    pub fn client<T>(connection: T, config: Config) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::start(connection, Role::Client, config)
    }

    /// Starts a session as the side that go-plugin calls the yamux server: the plugin, whose streams have even ids.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time enabled.
    #[must_use]
    pub fn server<T>(connection: T, config: Config) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::start(connection, Role::Server, config)
    }

    fn start<T>(connection: T, role: Role, config: Config) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let state = SessionState::new(role, config, Instant::now().into_std());
        let shared = Arc::new(Shared::new(state));
        let (reason, closed) = watch::channel(None);
        let driver = Driver::new(connection, shared.clone(), reason);
        tokio::spawn(driver.instrument(tracing::debug_span!("yamux", ?role)));
        Self { handle: Arc::new(Handle { shared, closed }) }
    }

    /// Opens a stream. When this returns, the frame that opens it has been written to the connection and flushed, so
    /// whatever the caller sends elsewhere afterwards reaches the peer later.
    ///
    /// Streams reach the peer in the order in which these calls took their ids: of two calls one after the other, the
    /// first comes first. The peer's acknowledgement is not awaited, but when a backlog of streams is not acknowledged
    /// ([`Config::with_backlog`]), this waits until one is.
    ///
    /// # Errors
    /// [`Error::PeerGoingAway`] if the peer takes no further streams, [`Error::StreamIdsExhausted`] if all ids are used,
    /// and otherwise the reason why the session ended.
    ///
    /// # Cancel safety
    /// A stream that was announced before the call was dropped is reset. The peer sees it come and go.
    pub async fn open(&self) -> Result<Stream, Error> {
        let shared = &self.handle.shared;
        let (stream, announcement) = self.announce().await?;
        until(&shared.written, || {
            let inner = shared.lock();
            if inner.control_written >= announcement {
                return Some(Ok(()));
            }
            inner.state.reason().map(|reason| Err(reason.clone()))
        })
        .await?;
        Ok(stream)
    }

    /// Opens a stream as [`open`](Self::open) does, and in the same order, without waiting for its frame to be written.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Dropping the future opens nothing.
    pub async fn open_soon(&self) -> Result<Stream, Error> {
        self.announce().await.map(|(stream, _)| stream)
    }

    /// Opens a stream, and tells the number of the frame that opens it.
    async fn announce(&self) -> Result<(Stream, u64), Error> {
        let shared = &self.handle.shared;
        until(&shared.openable, || {
            shared.change(|inner| match inner.state.open() {
                Ok(Some(id)) => {
                    inner.streams.insert(id, Default::default());
                    Some(Ok((Stream::new(id, shared.clone()), inner.state.control_queued())))
                }
                Ok(None) => None,
                Err(error) => Some(Err(error)),
            })
        })
        .await
    }

    /// Waits for the peer to open a stream, and acknowledges it. `None` when the session has ended.
    ///
    /// Streams come in the order in which the peer opened them, also one that the peer has reset already: reading it
    /// fails. A stream that waits for a minute is reset, because a Go peer would end the session soon after.
    ///
    /// # Cancel safety
    /// No stream is lost if the call is dropped.
    pub async fn accept(&self) -> Option<Stream> {
        while self.acceptable().await {
            if let Some(stream) = self.try_accept() {
                return Some(stream);
            }
        }
        None
    }

    /// Waits until a stream of the peer can be [accepted](Self::try_accept). False when the session has ended.
    ///
    /// # Cancel safety
    /// Safe to drop and to call again.
    pub async fn acceptable(&self) -> bool {
        let shared = &self.handle.shared;
        until(&shared.acceptable, || {
            let inner = shared.lock();
            if inner.state.waiting() > 0 { Some(true) } else { inner.state.reason().map(|_| false) }
        })
        .await
    }

    /// Accepts a stream as [`accept`](Self::accept) does, if one waits.
    #[must_use]
    pub fn try_accept(&self) -> Option<Stream> {
        let shared = &self.handle.shared;
        shared.change(|inner| {
            let id = inner.state.accept()?;
            inner.streams.insert(id, Default::default());
            Some(Stream::new(id, shared.clone()))
        })
    }

    /// How many streams of the peer wait to be accepted. Whatever the peer opened before it wrote what has been read from
    /// another stream is among them, or has been accepted.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.handle.shared.lock().state.waiting()
    }

    /// Ends the session: streams that are still open fail, what was written before still leaves, the peer is told, and
    /// the connection is closed. Returns when it is closed, after a second at the latest.
    ///
    /// # Cancel safety
    /// The session ends all the same.
    pub async fn close(&self) {
        self.closer().close().await;
    }

    /// A way to [close](Closer::close) the session later that does not count as a clone of it.
    #[must_use]
    pub fn closer(&self) -> Closer {
        Closer { shared: self.handle.shared.clone(), closed: self.handle.closed.clone() }
    }

    /// Waits until the session has ended and its connection is closed, and tells why.
    ///
    /// # Cancel safety
    /// Safe to drop and to call again.
    pub async fn closed(&self) -> Error {
        end(self.handle.closed.clone()).await
    }

    /// Whether the session has ended or is about to: no stream can be opened or accepted any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handle.shared.lock().state.reason().is_some()
    }
}

/// Closes a [`Session`] whose handles may have gone.
#[derive(Clone)]
pub struct Closer {
    shared: Arc<Shared>,
    closed: watch::Receiver<Option<Error>>,
}

impl Closer {
    /// The same as [`Session::close`].
    ///
    /// # Cancel safety
    /// The session ends all the same.
    pub async fn close(&self) {
        self.shared.change(|inner| inner.state.close());
        end(self.closed.clone()).await;
    }
}

impl fmt::Debug for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closer").finish_non_exhaustive()
    }
}

/// Waits until the driver has gone.
async fn end(mut closed: watch::Receiver<Option<Error>>) -> Error {
    // It never goes without leaving a reason.
    match closed.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or(Error::Closed),
        Err(_) => Error::Closed,
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.change(|inner| {
            inner.abandoned = true;
            inner.state.refuse_streams();
        });
    }
}

/// Waits until `check` has an answer. It is asked at once and after every notification.
async fn until<R>(notify: &Notify, mut check: impl FnMut() -> Option<R>) -> R {
    loop {
        if let Some(answer) = check() {
            return answer;
        }
        let mut notified = pin!(notify.notified());
        notified.as_mut().enable();
        // Again, for what happened before the notification was asked for.
        if let Some(answer) = check() {
            return answer;
        }
        notified.await;
    }
}
