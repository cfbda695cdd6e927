//! Serves a connection on the lane.

use std::{
    future::poll_fn,
    io::ErrorKind,
    task::{Context, Poll, ready},
};

use http::Request;
use tokio::{task::JoinSet, time::timeout};
use tracing::{Instrument as _, Span};

use super::{lane_call::LaneCall, serving::Serving};
use crate::{
    call::Responder,
    frames::HeaderLimit,
    lane::{LaneError, LaneRecv, LaneSend, LaneServer},
    net::PendingConnection,
};

/// A connection and the calls on it.
struct LaneConnection {
    server: LaneServer,
    responder: Responder,
    pending: PendingConnection,
    /// The tasks of the calls. They end with the connection.
    calls: JoinSet<()>,
    span: Span,
    /// Whether everything is done, and the stream is being closed.
    closing: bool,
}

/// Serves the calls of a connection until the peer closes it, or until it is drained.
pub(super) async fn serve(
    server: LaneServer,
    serving: &Serving,
    pending: &PendingConnection,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let headers = HeaderLimit::new(serving.settings.max_headers);
    let mut connection = LaneConnection {
        server,
        responder: Responder::new(serving.services.clone(), headers),
        pending: pending.clone(),
        calls: JoinSet::new(),
        span: Span::current(),
        closing: false,
    };
    tokio::select! {
        done = poll_fn(|cx| connection.poll(cx)) => return Ok(done?),
        () = serving.shutdown.cancelled() => {}
    }
    connection.server.close();
    match timeout(serving.grace, poll_fn(|cx| connection.poll(cx))).await {
        Ok(done) => Ok(done?),
        Err(_) => Err("calls were still in flight after the grace period and were cancelled".into()),
    }
}

impl LaneConnection {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LaneError>> {
        while !self.closing {
            match self.server.poll_accept(cx) {
                Poll::Ready(Ok(Some((request, send)))) => {
                    self.pending.called();
                    self.call(request, send);
                }
                Poll::Ready(Ok(None)) if self.server.has_calls() => {
                    let what = "the peer hung up during calls";
                    return Poll::Ready(Err(std::io::Error::new(ErrorKind::UnexpectedEof, what).into()));
                }
                Poll::Ready(Ok(None)) => self.closing = true,
                Poll::Ready(Err(error)) => {
                    // The peer learns its fault, if there is room.
                    let _ = self.server.poll_write_now(cx);
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    while self.calls.try_join_next().is_some() {}
                    if let Poll::Ready(Err(error)) = self.server.poll_write(cx) {
                        return Poll::Ready(Err(error.into()));
                    }
                    if !self.server.is_drained() {
                        return Poll::Pending;
                    }
                    self.closing = true;
                }
            }
        }
        let _ = ready!(self.server.poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }

    /// Serves a call in a task of its own, so that a handler that takes long delays no other call.
    fn call(&mut self, request: Request<LaneRecv>, send: LaneSend) {
        let call = LaneCall::new(&self.responder, request, send).run();
        self.calls.spawn(call.instrument(self.span.clone()));
    }
}
