//! The body of a response.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::{
    connection::ConnectionState, error_status, peer::Peer, status_details::mend_status, upload::Rest,
    wire::WireRecv,
};
use crate::call::{Deadline, IncomingBody, deadline_exceeded, is_deadline_exceeded};

/// The body of a response on a [`PluginChannel`](crate::http2::PluginChannel). Dropping it before its end cancels the
/// call. A caller that is still sending messages continues first, and the last of them may be lost.
///
/// The default is an empty body, for interceptors that respond in place of the peer.
#[derive(Default)]
pub struct ResponseBody(Option<IncomingBody<Frames>>);

/// The frames of a response, as they arrive.
struct Frames {
    stage: Stage,
    peer: Peer,
    connection: Arc<ConnectionState>,
    /// The messages that the call still sends.
    rest: Option<Rest>,
    deadline: Option<Deadline>,
}

enum Stage {
    Data(WireRecv),
    Trailers(WireRecv),
    /// The response broke off. The status for that is being determined.
    Breaking(Pin<Box<dyn Future<Output = Status> + Send>>),
    Ended,
}

impl ResponseBody {
    pub(super) fn new(
        stream: WireRecv,
        rest: Option<Rest>,
        peer: Peer,
        connection: Arc<ConnectionState>,
    ) -> Self {
        let limit = peer.connection.max_message();
        let frames = Frames { stage: Stage::Data(stream), peer, connection, rest, deadline: None };
        Self(Some(IncomingBody::new(frames, limit)))
    }

    /// Sets the deadline by which the response must have ended.
    pub(super) fn until(mut self, deadline: Deadline) -> Self {
        if let Some(body) = &mut self.0 {
            body.body_mut().deadline = Some(deadline);
        }
        self
    }
}

impl Frames {
    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let error = match &mut self.stage {
                Stage::Data(stream) => match ready!(stream.poll_data(cx)) {
                    Some(Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Some(Err(error)) => error,
                    None => {
                        if let Stage::Data(stream) = std::mem::replace(&mut self.stage, Stage::Ended) {
                            self.stage = Stage::Trailers(stream);
                        }
                        continue;
                    }
                },
                Stage::Trailers(stream) => match ready!(stream.poll_trailers(cx)) {
                    Ok(Some(mut trailers)) => {
                        let refused = self.peer.connection.header_limit().refuse_response(&trailers);
                        mend_status(&mut trailers);
                        self.end();
                        if let Some(status) = refused {
                            return Poll::Ready(Some(Err(status)));
                        }
                        return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                    }
                    Ok(None) => {
                        self.end();
                        return Poll::Ready(None);
                    }
                    Err(error) => error,
                },
                Stage::Breaking(breaking) => {
                    let status = ready!(breaking.as_mut().poll(cx));
                    self.end();
                    return Poll::Ready(Some(Err(status)));
                }
                Stage::Ended => return Poll::Ready(None),
            };
            if let Some(status) = self.rest.as_ref().and_then(Rest::failed).cloned() {
                self.end();
                return Poll::Ready(Some(Err(status)));
            }
            let (peer, connection) = (self.peer.clone(), Arc::clone(&self.connection));
            let due = self.deadline.as_ref().map(|deadline| deadline.due);
            self.stage = Stage::Breaking(Box::pin(async move {
                let status = error_status::status(error, &peer, &connection).await;
                if is_deadline_exceeded(&status, due) { deadline_exceeded() } else { status }
            }));
        }
    }

    /// Ends receiving and sending.
    fn end(&mut self) {
        self.stage = Stage::Ended;
        self.rest = None;
        self.deadline = None;
    }
}

impl Drop for Frames {
    /// A caller that does not read the response may still have messages to send. They are sent, as on tonic's own
    /// channel, but not after the deadline or the end of the response.
    fn drop(&mut self) {
        let goes_on = match &self.stage {
            Stage::Data(stream) | Stage::Trailers(stream) => !stream.is_end_stream(),
            Stage::Breaking(_) | Stage::Ended => false,
        };
        if let Some(rest) = self.rest.take().filter(|_| goes_on && self.deadline.is_none()) {
            rest.go_on();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.get_mut().0 else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(Status::from_error)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        // First, because a response without an end may always have messages.
        if let Some(deadline) = &mut this.deadline
            && deadline.sleep.as_mut().poll(cx).is_ready()
        {
            this.end();
            return Poll::Ready(Some(Err(deadline_exceeded())));
        }
        this.poll_stage(cx)
    }

    fn is_end_stream(&self) -> bool {
        match &self.stage {
            Stage::Data(stream) | Stage::Trailers(stream) => stream.is_end_stream(),
            Stage::Breaking(_) => false,
            Stage::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
