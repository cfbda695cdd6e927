//! The handles of a session.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::Instrument;

use crate::config::Config;
use crate::driver::Driver;
use crate::error::Error;
use crate::shared::Shared;
use crate::state::{Role, SessionState};
use crate::stream::Stream;

/// One side of a yamux session: opens and accepts [`Stream`]s over one connection.
///
/// Clones are cheap and refer to the same session. A task of its own runs the session. The session and its connection
/// end at the first of these events:
/// - [`close`](Self::close) is called.
/// - The connection ends.
/// - The peer breaks the protocol, or does not answer a ping.
/// - All clones and the last [`Stream`] have been dropped.
///
/// Once all clones are dropped, unaccepted streams and further streams of the peer are reset. Bytes that were written
/// to streams that were shut down are still sent, for at most a second.
#[derive(Clone)]
pub struct Session {
    handle: Arc<Handle>,
}

/// The state that all clones share. It is dropped with the last clone.
struct Handle {
    shared: Arc<Shared>,
    closed: watch::Receiver<Option<Error>>,
}

impl Session {
    /// Starts a session as the yamux client, whose streams have odd ids. In go-plugin this is the host.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime with time enabled.
    #[must_use]
    pub fn client<T>(connection: T, config: Config) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::start(connection, Role::Client, config)
    }

    /// Starts a session as the yamux server, whose streams have even ids. In go-plugin this is the plugin.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime with time enabled.
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

    /// Opens a stream. When this returns, the frame that opens the stream has been written to the connection and flushed.
    /// Messages that the caller sends elsewhere afterwards reach the peer later than the stream.
    ///
    /// Streams reach the peer in the order of the calls. The peer's acknowledgement is not awaited. If a whole backlog
    /// of streams is unacknowledged ([`Config::with_backlog`]), this waits until the peer acknowledges one of them.
    ///
    /// # Errors
    /// [`Error::PeerGoingAway`] if the peer accepts no further streams, [`Error::StreamIdsExhausted`] if all ids are
    /// used, and otherwise the reason why the session ended.
    ///
    /// # Cancel safety
    /// If the call is dropped after the stream was announced, the stream is reset. The peer sees it open and end.
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

    /// Opens a stream as [`open`](Self::open) does, and in the same order, but does not wait until its frame is written.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Dropping the future opens nothing.
    pub async fn open_soon(&self) -> Result<Stream, Error> {
        self.announce().await.map(|(stream, _)| stream)
    }

    /// Opens a stream. Also returns the number of the frame that opens it.
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

    /// Waits until the peer opens a stream, and acknowledges it. Returns `None` when the session has ended.
    ///
    /// Streams are returned in the order in which the peer opened them. This includes streams that the peer has already
    /// reset: reading them fails. A stream that waits for a minute is reset, because a Go peer would end the session
    /// soon after.
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

    /// Waits until a stream of the peer can be [accepted](Self::try_accept). Returns false when the session has ended.
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

    /// Accepts a stream as [`accept`](Self::accept) does, if the peer has opened one.
    #[must_use]
    pub fn try_accept(&self) -> Option<Stream> {
        let shared = &self.handle.shared;
        shared.change(|inner| {
            let id = inner.state.accept()?;
            inner.streams.insert(id, Default::default());
            Some(Stream::new(id, shared.clone()))
        })
    }

    /// How many streams of the peer wait to be accepted.
    ///
    /// When bytes have been read from a stream, all streams that the peer opened before it wrote these bytes have been
    /// counted.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.handle.shared.lock().state.waiting()
    }

    /// Ends the session. Open streams fail, written bytes are still sent, the peer receives a go-away frame, and the
    /// connection is closed. Returns when the connection is closed, after a second at the latest.
    ///
    /// # Cancel safety
    /// The session also ends if the call is dropped.
    pub async fn close(&self) {
        self.closer().close().await;
    }

    /// Returns a handle that can [close](Closer::close) the session and does not count as a clone of it.
    #[must_use]
    pub fn closer(&self) -> Closer {
        Closer { shared: self.handle.shared.clone(), closed: self.handle.closed.clone() }
    }

    /// Waits until the session has ended and its connection is closed. Returns the reason.
    ///
    /// # Cancel safety
    /// Safe to drop and to call again.
    pub async fn closed(&self) -> Error {
        end(self.handle.closed.clone()).await
    }

    /// Whether the session has ended or is ending, so that no stream can be opened or accepted any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handle.shared.lock().state.reason().is_some()
    }
}

/// Closes a [`Session`] without keeping it open.
#[derive(Clone)]
pub struct Closer {
    shared: Arc<Shared>,
    closed: watch::Receiver<Option<Error>>,
}

impl Closer {
    /// Closes the session as [`Session::close`] does.
    ///
    /// # Cancel safety
    /// The session also ends if the call is dropped.
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

/// Waits until the driver has ended.
async fn end(mut closed: watch::Receiver<Option<Error>>) -> Error {
    // The driver always leaves a reason.
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

/// Waits until `check` returns a value. It is called at once and after every notification.
async fn until<R>(notify: &Notify, mut check: impl FnMut() -> Option<R>) -> R {
    loop {
        if let Some(value) = check() {
            return value;
        }
        let mut notified = pin!(notify.notified());
        notified.as_mut().enable();
        // Again, for a change before the notification was enabled.
        if let Some(value) = check() {
            return value;
        }
        notified.await;
    }
}
