//! The body of a request, as it arrives.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::{Body, Frame};

/// The frames of a request. Dropping them before their end resets the stream: with NO_ERROR after a whole response, and
/// otherwise with CANCEL.
#[derive(Debug)]
pub(super) struct Frames {
    stream: RecvStream,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Data,
    Trailers,
    Ended,
}

impl Frames {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, stage: Stage::Data }
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if matches!(self.stage, Stage::Data) {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // The window is granted again for what has been read.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(self.fail(error)),
                None => self.stage = Stage::Trailers,
            }
        }
        if matches!(self.stage, Stage::Ended) {
            return Poll::Ready(None);
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => {
                self.stage = Stage::Ended;
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Err(error) => Poll::Ready(self.fail(error)),
        }
    }

    /// Ends the body with this error.
    ///
    /// # Protocol
    /// RFC 9113, 8.1: a reset with NO_ERROR only says that no more of the request is wanted, so it is an ordinary end.
    fn fail(&mut self, error: h2::Error) -> Option<Result<Frame<Bytes>, h2::Error>> {
        self.stage = Stage::Ended;
        (error.reason() != Some(Reason::NO_ERROR)).then_some(Err(error))
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        self.get_mut().poll_stage(cx)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stage, Stage::Ended) || self.stream.is_end_stream()
    }
}
