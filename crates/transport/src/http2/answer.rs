//! What goes out: the answer to a call, whatever its handler does.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};

use crate::http2::scan::Scan;

/// The body of an answer. A handler that panics in the middle of it, and a message that is longer than allowed, end the call
/// with a status; the connection and its other calls do not notice.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    /// Follows the messages, if there is a limit.
    scan: Option<Scan>,
    end: End,
}

#[derive(Debug)]
enum End {
    /// The handler's own.
    Handlers,
    /// This instead, which is still to be sent.
    Due(HeaderMap),
    Sent,
}

impl Answer {
    /// This body, with messages of at most `limit` bytes as they are on the wire.
    pub(super) fn new(body: Body, limit: Option<u64>) -> Self {
        Self { body, scan: limit.map(Scan::new), end: End::Handlers }
    }

    /// Ends the call with this status. The handler's own end is never asked for.
    fn end_with(&mut self, status: &Status) {
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            // Texts that make no header are encoded, so that this cannot be.
            trailers.insert("grpc-status", http::HeaderValue::from_static("13"));
        }
        self.end = End::Due(trailers);
        self.body = Body::empty();
    }
}

impl http_body::Body for Answer {
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
        // What stands before the message may go.
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

/// What a call is answered with whose handler panics. The panic itself is the panic hook's to print, with its backtrace.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Status {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Status::internal(match message {
        None => "the handler panicked".to_owned(),
        Some(message) => {
            // Peers bound what a status may take; the log of this side has all of it.
            let end = (0..=message.len().min(MAX_MESSAGE)).rfind(|end| message.is_char_boundary(*end));
            let (message, rest) = message.split_at(end.unwrap_or_default());
            format!("the handler panicked: {message}{}", if rest.is_empty() { "" } else { "…" })
        }
    })
}

/// Bytes of a panic's message that are passed on.
const MAX_MESSAGE: usize = 1024;

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::http2::scan::message;

    #[tokio::test]
    async fn what_goes_out_before_is_sent_and_then_comes_the_status() {
        let chunk = Bytes::from([message(3), message(31), message(1)].concat());
        let chunks =
            stream::iter([Ok::<_, Status>(Frame::data(chunk)), Err(Status::internal("not asked for"))]);
        let body = Answer::new(Body::new(StreamBody::new(chunks)), Some(30));
        let sent = body.collect().await.expect("no error");
        assert_eq!(sent.trailers().expect("the end")["grpc-status"], "8");
        assert_eq!(sent.to_bytes(), message(3));
    }

    #[tokio::test]
    async fn a_panic_is_the_end() {
        for sent_before in [0, 2] {
            let chunks = stream::iter(0..3).map(move |n| {
                assert!(n < sent_before, "at {n}");
                Ok::<_, Status>(Frame::data(Bytes::from(message(3))))
            });
            let sent =
                Answer::new(Body::new(StreamBody::new(chunks)), None).collect().await.expect("no error");
            let trailers = sent.trailers().expect("the end").clone();
            let status = Status::from_header_map(&trailers).expect("it is");
            assert_eq!(status.code(), tonic::Code::Internal);
            assert_eq!(status.message(), format!("the handler panicked: at {sent_before}"));
            assert_eq!(sent.to_bytes(), message(3).repeat(sent_before));
        }
    }

    #[test]
    fn a_message_may_be_of_any_kind_and_length() {
        let panic = |payload: Box<dyn Any + Send>| panicked(&*payload).message().to_owned();
        assert_eq!(panic(Box::new("a str")), "the handler panicked: a str");
        assert_eq!(panic(Box::new("a string".to_owned())), "the handler panicked: a string");
        assert_eq!(panic(Box::new(7)), "the handler panicked");
        let long = panic(Box::new("é".repeat(10_000)));
        assert!(long.ends_with("é…") && long.len() < 1100, "{}", long.len());
    }
}
