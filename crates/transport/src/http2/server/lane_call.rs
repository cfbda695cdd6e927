//! One call on the lane: its handler, and the messages of its response.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use tonic::{Code, Status};

use crate::{
    call::{HandlerBody, Responder, Responding},
    lane::{LaneError, LaneRecv, LaneSend},
};

/// A call that is being served. Dropping it cancels the call.
pub(super) struct LaneCall {
    stage: Stage,
    send: LaneSend,
}

enum Stage {
    /// The response has not begun.
    Begin(Responding),
    Body(HandlerBody),
}

/// The messages of a request.
#[derive(Debug)]
struct RequestBody(LaneRecv);

impl LaneCall {
    pub(super) fn new(responder: &Responder, request: Request<LaneRecv>, send: LaneSend) -> Self {
        Self { stage: Stage::Begin(responder.respond(request.map(RequestBody))), send }
    }

    /// Runs the call to its end, or until the peer cancels it.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.send.poll_reset(cx).is_ready() {
            return Poll::Ready(());
        }
        let polled = self.poll_response(cx);
        if polled.is_pending() {
            self.send.flush();
        }
        polled
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Stage::Begin(responding) = &mut self.stage {
            let (parts, body) = ready!(Pin::new(responding).poll(cx)).into_parts();
            let end = body.is_end_stream();
            self.send.respond(parts.status, &parts.headers, end);
            if end {
                return Poll::Ready(());
            }
            self.stage = Stage::Body(body);
        }
        let Stage::Body(body) = &mut self.stage else { return Poll::Ready(()) };
        for _ in 0..MAX_AT_ONCE {
            if ready!(self.send.poll_room(cx)).is_none() {
                return Poll::Ready(());
            }
            match ready!(Pin::new(&mut *body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    self.send.send_data(data, false);
                }
                Some(Ok(Err(trailers))) => {
                    self.send.send_trailers(trailers.into_trailers().unwrap_or_else(|_| HeaderMap::new()));
                    return Poll::Ready(());
                }
                Some(Err(_)) => {
                    self.send.send_reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(());
                }
                None => {
                    self.send.send_data(Bytes::new(), true);
                    return Poll::Ready(());
                }
            }
        }
        // A handler that always has more messages must not keep other calls from being served.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// How many messages are taken from a handler in one poll.
const MAX_AT_ONCE: usize = 64;

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let data = ready!(self.0.poll_data(cx));
        Poll::Ready(data.map(|data| data.map(Frame::data).map_err(status)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// The status that a handler reads when the messages of its caller break off.
fn status(error: LaneError) -> Status {
    let code = if error.reason() == Some(Reason::CANCEL) { Code::Cancelled } else { Code::Unknown };
    let mut status = Status::new(code, format!("the call broke off: {error}"));
    status.set_source(std::sync::Arc::new(error));
    status
}
