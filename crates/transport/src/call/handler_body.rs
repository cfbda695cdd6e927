//! The body of a response, whatever its handler does.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};

use super::message_scan::MessageScan;
use crate::service::panicked;

/// The body of a response. A handler that panics, and a message that is too long, end the call with a status. The
/// connection and its other calls go on.
#[derive(Debug)]
pub(crate) struct HandlerBody {
    body: Body,
    /// Finds messages that are too long, if there is a limit.
    scan: Option<MessageScan>,
    end: End,
}

#[derive(Debug)]
enum End {
    /// The end of the handler's own body.
    Handlers,
    /// These trailers instead. They are still to be sent.
    Due(HeaderMap),
    Sent,
}

impl HandlerBody {
    /// Wraps the body of a handler. A message may have at most `limit` bytes on the wire.
    pub(crate) fn new(body: Body, limit: Option<u64>) -> Self {
        Self { body, scan: limit.map(MessageScan::new), end: End::Handlers }
    }

    /// Ends the call with this status. The rest of the handler's body is dropped.
    fn end_with(&mut self, status: &Status) {
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            // Unreachable: a text that is no valid header is encoded.
            trailers.insert("grpc-status", http::HeaderValue::from_static("13"));
        }
        self.end = End::Due(trailers);
        self.body = Body::empty();
    }
}

impl http_body::Body for HandlerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !matches!(self.end, End::Handlers) {
            return Poll::Ready(match std::mem::replace(&mut self.end, End::Sent) {
                End::Due(trailers) => Some(Ok(Frame::trailers(trailers))),
                End::Handlers | End::Sent => None,
            });
        }
        let this = &mut *self;
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.body).poll_frame(cx)));
        let polled = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => {
                this.end_with(&panicked(&*panic));
                return self.poll_frame(cx);
            }
        };
        let (Some(scan), Some(Ok(frame))) = (&mut this.scan, &polled) else { return Poll::Ready(polled) };
        let Some(over) = frame.data_ref().and_then(|data| scan.take(data).err()) else {
            return Poll::Ready(polled);
        };
        let limit = scan.limit();
        this.end_with(&Status::resource_exhausted(format!(
            // The words are grpc-go's.
            "grpc: trying to send message larger than max ({} vs. {limit})",
            over.length
        )));
        // The messages before it are sent.
        match polled.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(mut data))) if over.start > 0 => {
                data.truncate(over.start);
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            _ => self.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.end {
            End::Handlers => self.body.is_end_stream(),
            End::Due(_) => false,
            End::Sent => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        if self.scan.is_none() { self.body.size_hint() } else { SizeHint::default() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::call::message_scan::message;

    #[tokio::test]
    async fn messages_before_one_that_is_too_long_are_sent_and_then_the_status() {
        let chunk = Bytes::from([message(3), message(31), message(1)].concat());
        let chunks =
            stream::iter([Ok::<_, Status>(Frame::data(chunk)), Err(Status::internal("not asked for"))]);
        let body = HandlerBody::new(Body::new(StreamBody::new(chunks)), Some(30));
        let sent = body.collect().await.expect("no error");
        assert_eq!(sent.trailers().expect("the end")["grpc-status"], "8");
        assert_eq!(sent.to_bytes(), message(3));
    }

    #[tokio::test]
    async fn a_panic_ends_the_call() {
        for sent_before in [0, 2] {
            let chunks = stream::iter(0..3).map(move |n| {
                assert!(n < sent_before, "at {n}");
                Ok::<_, Status>(Frame::data(Bytes::from(message(3))))
            });
            let sent =
                HandlerBody::new(Body::new(StreamBody::new(chunks)), None).collect().await.expect("no error");
            let trailers = sent.trailers().expect("the end").clone();
            let status = Status::from_header_map(&trailers).expect("it is");
            assert_eq!(status.code(), tonic::Code::Internal);
            assert_eq!(status.message(), format!("the handler panicked: at {sent_before}"));
            assert_eq!(sent.to_bytes(), message(3).repeat(sent_before));
        }
    }
}
