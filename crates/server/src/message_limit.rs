//! How large a message may be, for services whose generated code knows no limit.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use futures_util::FutureExt as _;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

/// A tower layer that refuses messages above a size, by the length that stands before each, before anything of them is
/// kept.
///
/// Sizes are those on the wire, before decompression. A service whose generated code has a limit of its own, such as
/// tonic's 4 MiB, keeps that too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageLimit {
    /// The largest message that is received, in bytes.
    pub(crate) receive: Option<u64>,
    /// The largest message that is sent, in bytes.
    pub(crate) send: Option<u64>,
}

/// A service behind a [`MessageLimit`].
#[derive(Clone, Debug)]
pub(crate) struct Limited<S> {
    limit: MessageLimit,
    service: S,
}

impl<S> Layer<S> for MessageLimit {
    type Service = Limited<S>;

    fn layer(&self, service: S) -> Limited<S> {
        Limited { limit: *self, service }
    }
}

impl<S> Service<Request<Body>> for Limited<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = futures_util::future::Map<S::Future, LimitAnswer>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let MessageLimit { receive, send } = self.limit;
        let request = match receive {
            Some(limit) => request.map(|body| Body::new(Incoming { body, scan: Scan::new(limit) })),
            None => request,
        };
        let limit_answer: LimitAnswer = match send {
            Some(limit) => Box::new(move |answer| {
                answer.map(|answer| {
                    answer.map(|body| Body::new(Outgoing { body, scan: Scan::new(limit), refused: None }))
                })
            }),
            None => Box::new(|answer| answer),
        };
        self.service.call(request).map(limit_answer)
    }
}

type Answer = Result<Response<Body>, Infallible>;

pub(crate) type LimitAnswer = Box<dyn FnOnce(Answer) -> Answer + Send>;

/// What comes in: a message that is too long is an error to whoever reads it, who hands it on to the caller.
struct Incoming {
    body: Body,
    scan: Scan,
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(over) = self.scan.take(data)
        {
            let limit = self.scan.limit;
            return Poll::Ready(Some(Err(Status::resource_exhausted(format!(
                // The words are grpc-go's.
                "grpc: received message larger than max ({} vs. {limit})",
                over.length
            )))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What goes out: a message that is too long is replaced by the end of the call.
struct Outgoing {
    body: Body,
    scan: Scan,
    refused: Option<Refusal>,
}

enum Refusal {
    /// The end is still to be told.
    Due(HeaderMap),
    Told,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(refusal) = &mut self.refused {
            return Poll::Ready(match std::mem::replace(refusal, Refusal::Told) {
                Refusal::Due(trailers) => Some(Ok(Frame::trailers(trailers))),
                Refusal::Told => None,
            });
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        let Some(over) = frame.data_ref().and_then(|data| self.scan.take(data).err()) else {
            return Poll::Ready(Some(Ok(frame)));
        };
        let limit = self.scan.limit;
        let status = Status::resource_exhausted(format!(
            "grpc: trying to send message larger than max ({} vs. {limit})",
            over.length
        ));
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers)?;
        // What stands before the message may go; the handler's own end is never asked for.
        self.refused = Some(Refusal::Due(trailers));
        match frame.into_data() {
            Ok(mut data) if over.start > 0 => {
                data.truncate(over.start);
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            _ => self.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.refused {
            None => self.body.is_end_stream(),
            Some(Refusal::Due(_)) => false,
            Some(Refusal::Told) => true,
        }
    }
}

/// Follows the messages in a body, however its bytes are cut.
///
/// # Protocol
/// Each message is preceded by a byte that tells whether it is compressed, and by its length in four bytes, the most
/// significant first.
struct Scan {
    limit: u64,
    prefix: [u8; PREFIX],
    /// How much of the prefix has come.
    have: usize,
    /// What is still to come of the message.
    left: usize,
}

/// A message is too long.
#[derive(Debug, PartialEq, Eq)]
struct Over {
    /// Where in the data its prefix starts; 0 for one that started earlier.
    start: usize,
    length: u32,
}

impl Scan {
    fn new(limit: u64) -> Self {
        Self { limit, prefix: [0; PREFIX], have: 0, left: 0 }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Over> {
        let mut rest = data;
        while !rest.is_empty() {
            if self.left > 0 {
                let passed = rest.len().min(self.left);
                self.left -= passed;
                rest.advance(passed);
                continue;
            }
            let start = (data.len() - rest.len()).saturating_sub(self.have);
            let taken = rest.len().min(PREFIX - self.have);
            self.prefix[self.have..self.have + taken].copy_from_slice(&rest[..taken]);
            self.have += taken;
            rest.advance(taken);
            if self.have == PREFIX {
                let [_, length @ ..] = self.prefix;
                let length = u32::from_be_bytes(length);
                if u64::from(length) > self.limit {
                    return Err(Over { start, length });
                }
                (self.have, self.left) = (0, length as usize);
            }
        }
        Ok(())
    }
}

const PREFIX: usize = 5;

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let prefix = u32::try_from(length).expect("small").to_be_bytes();
        [&[0][..], &prefix, &vec![7; length]].concat()
    }

    proptest! {
        #[test]
        fn finds_the_first_message_above_the_limit(
            lengths in prop::collection::vec(0_usize..40, 1..8), chunk in 1_usize..50
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let mut scan = Scan::new(30);
            let found = bytes.chunks(chunk).find_map(|chunk| scan.take(chunk).err()).map(|over| over.length as usize);
            prop_assert_eq!(found, lengths.into_iter().find(|length| *length > 30));
        }
    }

    #[tokio::test]
    async fn what_goes_out_before_is_sent_and_then_comes_the_status() {
        let chunk = Bytes::from([message(3), message(31), message(1)].concat());
        let chunks =
            stream::iter([Ok::<_, Status>(Frame::data(chunk)), Err(Status::internal("not asked for"))]);
        let body = Outgoing { body: Body::new(StreamBody::new(chunks)), scan: Scan::new(30), refused: None };
        let sent = body.collect().await.expect("no error");
        assert_eq!(sent.trailers().expect("the end")["grpc-status"], "8");
        assert_eq!(sent.to_bytes(), message(3));
    }
}
