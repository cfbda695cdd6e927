//! The messages of an answer.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use crate::http2::{
    broken,
    call::{Deadline, is_late, late},
    channel::Line,
    checked::mend_status,
    connection::Fate,
    gather::Gathered,
    upload::Rest,
};

/// The answer to a call upon a [`PluginChannel`](crate::http2::PluginChannel). Dropping it before its end cancels the call. A
/// caller that is still sending messages goes on with that first, and the last of them may be lost.
///
/// By default it is empty, for interceptors that answer in place of the peer.
#[derive(Default)]
pub struct ResponseBody(Option<Gathered<Answer>>);

/// What comes in, as it comes.
struct Answer {
    stage: Stage,
    line: Line,
    fate: Arc<Fate>,
    /// What the call still sends.
    rest: Option<Rest>,
    deadline: Option<Deadline>,
}

enum Stage {
    Data(RecvStream),
    Trailers(RecvStream),
    /// The answer broke off, and it is being found out why.
    Breaking(Pin<Box<dyn Future<Output = Status> + Send>>),
    Over,
}

impl ResponseBody {
    pub(super) fn new(stream: RecvStream, rest: Option<Rest>, line: Line, fate: Arc<Fate>) -> Self {
        let limit = line.link.max_message();
        let answer = Answer { stage: Stage::Data(stream), line, fate, rest, deadline: None };
        Self(Some(Gathered::new(answer, limit)))
    }

    /// The same answer, which has to be at its end by then.
    pub(super) fn until(mut self, deadline: Deadline) -> Self {
        if let Some(body) = &mut self.0 {
            body.body_mut().deadline = Some(deadline);
        }
        self
    }
}

impl Answer {
    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let error = match &mut self.stage {
                Stage::Data(stream) => match ready!(stream.poll_data(cx)) {
                    Some(Ok(data)) => {
                        let _ = stream.flow_control().release_capacity(data.len());
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Some(Err(error)) => error,
                    None => {
                        if let Stage::Data(stream) = std::mem::replace(&mut self.stage, Stage::Over) {
                            self.stage = Stage::Trailers(stream);
                        }
                        continue;
                    }
                },
                Stage::Trailers(stream) => match ready!(stream.poll_trailers(cx)) {
                    Ok(Some(mut trailers)) => {
                        let refused = self.line.link.header_limit().refuse_answer(&trailers);
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
                Stage::Over => return Poll::Ready(None),
            };
            if let Some(status) = self.rest.as_ref().and_then(Rest::failed).cloned() {
                self.end();
                return Poll::Ready(Some(Err(status)));
            }
            let (line, fate) = (self.line.clone(), Arc::clone(&self.fate));
            let due = self.deadline.as_ref().map(|deadline| deadline.due);
            self.stage = Stage::Breaking(Box::pin(async move {
                let status = broken::status(error, &line, &fate).await;
                if is_late(&status, due) { late() } else { status }
            }));
        }
    }

    /// Lets go of everything: nothing more comes, and nothing more is sent.
    fn end(&mut self) {
        self.stage = Stage::Over;
        self.rest = None;
        self.deadline = None;
    }
}

impl Drop for Answer {
    /// A caller that does not read the answer may still have something to send: a stream of messages goes on, as upon tonic's
    /// own channel. But not beyond the deadline or the end of the answer.
    fn drop(&mut self) {
        let goes_on = match &self.stage {
            Stage::Data(stream) | Stage::Trailers(stream) => !stream.is_end_stream(),
            Stage::Breaking(_) | Stage::Over => false,
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

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        // First, since an answer that never ends may never be out of messages.
        if let Some(deadline) = &mut this.deadline
            && deadline.sleep.as_mut().poll(cx).is_ready()
        {
            this.end();
            return Poll::Ready(Some(Err(late())));
        }
        this.poll_stage(cx)
    }

    fn is_end_stream(&self) -> bool {
        match &self.stage {
            Stage::Data(stream) | Stage::Trailers(stream) => stream.is_end_stream(),
            Stage::Breaking(_) => false,
            Stage::Over => true,
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
