//! The two handles of a call: one that reads its body and one that sends.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, StatusCode};

use super::{connection::Shared, error::LaneError};

/// Reads a body. The call is cancelled when both of its handles are dropped before its end.
pub(crate) struct LaneRecv {
    connection: Arc<Shared>,
    call: u32,
}

/// Sends a body, and on a server the response.
pub(crate) struct LaneSend {
    connection: Arc<Shared>,
    call: u32,
}

pub(super) fn handles(connection: &Arc<Shared>, call: u32) -> (LaneRecv, LaneSend) {
    let recv = LaneRecv { connection: Arc::clone(connection), call };
    (recv, LaneSend { connection: Arc::clone(connection), call })
}

impl LaneRecv {
    pub(super) fn poll_response(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Result<(StatusCode, HeaderMap), LaneError>> {
        self.connection.with_write(|core| core.poll_response(self.call, cx))
    }

    /// The next data. The peer may send as much again.
    pub(crate) fn poll_data(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, LaneError>>> {
        self.connection.with_write(|core| core.poll_data(self.call, cx))
    }

    /// The trailers, after the end of the data.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.connection.with(|core| core.take_trailers(self.call))
    }

    /// Whether everything has been read.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.connection.with(|core| core.is_end_stream(self.call))
    }
}

impl LaneSend {
    /// Begins the response.
    pub(crate) fn respond(&mut self, status: StatusCode, headers: &HeaderMap, end: bool) {
        self.connection.with(|core| core.respond(self.call, status, headers, end));
    }

    /// Hands data over. It is sent by the next [`flush`](Self::flush), as credit allows. Returns false if the call takes none.
    pub(crate) fn send_data(&mut self, data: Bytes, end: bool) -> bool {
        self.connection.with(|core| core.send_data(self.call, data, end))
    }

    /// Ends the body.
    pub(crate) fn send_trailers(&mut self, trailers: HeaderMap) {
        self.connection.with(|core| core.send_trailers(self.call, trailers));
    }

    /// Sends what was handed over.
    pub(crate) fn flush(&mut self) {
        self.connection.with_write(|_| ());
    }

    /// Waits until the data that was handed over has left. `None` if the call takes no more. Nothing is written: a caller that waits
    /// has to [`flush`](Self::flush).
    pub(crate) fn poll_room(&mut self, cx: &Context<'_>) -> Poll<Option<()>> {
        self.connection.with(|core| core.poll_room(self.call, cx))
    }

    /// Waits until the call has failed or is over.
    pub(crate) fn poll_reset(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.connection.with(|core| core.poll_reset(self.call, cx))
    }

    /// Resets the call.
    pub(crate) fn send_reset(&mut self, reason: Reason) {
        self.connection.with_write(|core| core.reset(self.call, reason));
    }
}

impl Drop for LaneRecv {
    fn drop(&mut self) {
        self.connection.with_write(|core| {
            core.discard(self.call);
            core.drop_handle(self.call);
        });
    }
}

impl Drop for LaneSend {
    fn drop(&mut self) {
        self.connection.with_write(|core| core.drop_handle(self.call));
    }
}

impl fmt::Debug for LaneRecv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneRecv").field("call", &self.call).finish_non_exhaustive()
    }
}

impl fmt::Debug for LaneSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneSend").field("call", &self.call).finish_non_exhaustive()
    }
}
