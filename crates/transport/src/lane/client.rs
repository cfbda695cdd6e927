//! The client side: opens a connection and makes calls.

use std::{
    fmt,
    future::poll_fn,
    io::ErrorKind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use http::{HeaderMap, Response, Version, uri::PathAndQuery};
use tokio::io::AsyncWriteExt as _;

use super::{
    connection::{Driver, Shared},
    core::Role,
    error::LaneError,
    handles::{LaneRecv, LaneSend, handles},
    limits::Limits,
    magic::MAGIC,
};
use crate::{meter::LaneCounts, net::Io};

/// Makes calls on a connection. The connection closes when the last clone is dropped and the last call has ended.
#[derive(Clone)]
pub(crate) struct LaneClient(Arc<Calls>);

struct Calls {
    connection: Arc<Shared>,
}

/// The task of a connection. It has to be awaited.
pub(crate) struct LaneConnection {
    driver: Driver,
    /// Whether everything is done, and the stream is being closed.
    closing: bool,
}

/// Sends pings. The connection does not stay open for it.
pub(crate) struct LanePings(Arc<Shared>);

/// A call whose response has not begun.
#[derive(Debug)]
pub(crate) struct LaneResponse(Option<LaneRecv>);

/// Opens the lane on a stream, and waits for the limits of the peer.
pub(crate) async fn open(
    mut io: impl Io,
    limits: Limits,
    counts: LaneCounts,
) -> Result<(LaneClient, LaneConnection), LaneError> {
    io.write_all(MAGIC).await?;
    counts.bytes_sent(MAGIC.len());
    let own = limits.hello();
    let (connection, driver) = Shared::new(Box::new(io), BytesMut::new(), Role::Client, own, Some(counts));
    let mut task = LaneConnection { driver, closing: false };
    poll_fn(|cx| {
        ready!(task.driver.poll_write(cx))?;
        match task.driver.poll_read(cx)? {
            Poll::Ready(()) => Poll::Ready(Err(LaneError::io(ErrorKind::UnexpectedEof, "the peer hung up"))),
            Poll::Pending if task.driver.is_open() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    })
    .await?;
    Ok((LaneClient(Arc::new(Calls { connection })), task))
}

impl LaneClient {
    /// Waits until another call may be made.
    pub(crate) fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<Result<(), LaneError>> {
        self.0.connection.with(|core| core.poll_open(cx))
    }

    /// Makes a call. It is sent when the response is polled, together with the data that is there by then.
    pub(crate) fn send_request(
        &mut self,
        path: &PathAndQuery,
        headers: &HeaderMap,
        end: bool,
    ) -> Result<(LaneResponse, LaneSend), LaneError> {
        let call = self.0.connection.with(|core| core.open(path, headers, end))?;
        let (recv, send) = handles(&self.0.connection, call);
        Ok((LaneResponse(Some(recv)), send))
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.connection.with(|core| core.abandoned = true);
        self.connection.wake_driver();
    }
}

impl LaneConnection {
    /// Returns what sends pings.
    pub(crate) fn pings(&self) -> LanePings {
        LanePings(Arc::clone(self.driver.shared()))
    }

    /// Runs the connection for a while. Completes when no call can be made any more and the last one has ended.
    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LaneError>> {
        let read = self.driver.poll_read(cx);
        let written = self.driver.poll_write(cx);
        if let Poll::Ready(read) = read {
            return Poll::Ready(match read {
                Ok(()) => Err(LaneError::io(ErrorKind::UnexpectedEof, "the peer hung up")),
                Err(error) => Err(error),
            });
        }
        if let Poll::Ready(Err(error)) = written {
            return Poll::Ready(Err(error.into()));
        }
        if self.driver.is_done() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl Future for LaneConnection {
    type Output = Result<(), LaneError>;

    /// Dropping the future ends the connection and fails its calls.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if !this.closing {
            if let Err(error) = ready!(this.poll_run(cx)) {
                // The peer learns its fault, if there is room.
                let _ = this.driver.poll_write(cx);
                this.driver.end(error.clone());
                return Poll::Ready(Err(error));
            }
            this.closing = true;
        }
        let _ = ready!(this.driver.poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }
}

impl LanePings {
    /// Sends a ping and waits for its answer.
    pub(crate) async fn ping(&mut self) {
        let number = self.0.with_write(super::core::Core::ping);
        poll_fn(|cx| self.0.with(|core| core.poll_pong(number, cx))).await;
    }
}

impl Future for LaneResponse {
    type Output = Result<Response<LaneRecv>, LaneError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(recv) = &mut this.0 else { return Poll::Pending };
        let (status, headers) = ready!(recv.poll_response(cx))?;
        let Some(recv) = this.0.take() else { return Poll::Pending };
        let mut response = Response::new(recv);
        *response.status_mut() = status;
        *response.version_mut() = Version::HTTP_2;
        *response.headers_mut() = headers;
        Poll::Ready(Ok(response))
    }
}

impl fmt::Debug for LaneClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneClient").finish_non_exhaustive()
    }
}
