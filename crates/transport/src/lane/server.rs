//! The server side: accepts calls.

use std::{
    fmt, io,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use http::{
    Method, Request, Uri, Version,
    uri::{Authority, Scheme},
};

use super::{
    connection::{Driver, Shared},
    core::{Accepted, Core, Role},
    error::LaneError,
    handles::{LaneRecv, LaneSend, handles},
    limits::Limits,
};
use crate::{meter::LaneCounts, net::Io};

/// A call that has arrived, with the handle for its response.
pub(crate) type LaneRequest = (Request<LaneRecv>, LaneSend);

/// A connection that a peer has opened. Dropping it ends the connection and its calls.
pub(crate) struct LaneServer {
    driver: Driver,
}

impl LaneServer {
    /// Serves a stream from which the first bytes of the lane were read. `rest` is what was read after these.
    ///
    /// # Errors
    /// If `rest` is malformed.
    pub(crate) fn new(
        io: impl Io,
        rest: BytesMut,
        limits: Limits,
        counts: Option<LaneCounts>,
    ) -> Result<Self, LaneError> {
        let (_, mut driver) = Shared::new(Box::new(io), rest, Role::Server, limits.hello(), counts);
        driver.receive_first()?;
        Ok(Self { driver })
    }

    /// The next call that has arrived. `None` when the peer has closed the connection.
    pub(crate) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<LaneRequest>, LaneError>> {
        if let Some(call) = self.next() {
            return Poll::Ready(Ok(Some(call)));
        }
        match self.driver.poll_read(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(None)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match self.next() {
                Some(call) => Poll::Ready(Ok(Some(call))),
                None => Poll::Pending,
            },
        }
    }

    fn next(&mut self) -> Option<LaneRequest> {
        let accepted = self.driver.shared().with(|core| core.accepted.pop_front())?;
        let Accepted { call, path, headers } = accepted;
        let (recv, send) = handles(self.driver.shared(), call);
        let mut request = Request::new(recv);
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = headers;
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(Authority::from_static("localhost"));
        uri.path_and_query = Some(path);
        // All parts are there, so that this does not fail.
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        Some((request, send))
    }

    /// Writes what there is to be written.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.driver.poll_write(cx)
    }

    /// Writes what there is to be written, and waits for no other task.
    pub(crate) fn poll_write_now(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.driver.poll_write_now(cx)
    }

    /// Whether calls have not ended.
    pub(crate) fn has_calls(&self) -> bool {
        self.driver.shared().with(|core| !core.calls.is_empty())
    }

    /// Asks the peer to make no further calls on this connection.
    pub(crate) fn close(&mut self) {
        self.driver.shared().with(Core::close);
    }

    /// Whether the peer makes no further calls, and all calls have ended.
    pub(crate) fn is_drained(&self) -> bool {
        self.driver.is_drained()
    }

    /// Writes the rest and closes the stream for writing.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = ready!(self.driver.poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for LaneServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneServer").finish_non_exhaustive()
    }
}
