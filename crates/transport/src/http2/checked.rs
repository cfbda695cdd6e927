//! Answers of a peer that may not know how to write them.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::{
    Status,
    body::Body,
    metadata::MetadataMap,
    transport::{Channel, Error},
};
use tower_service::Service;

/// A channel to a peer that need not be trusted to write its statuses well: `KvClient::new(CheckedChannel::new(channel))`.
/// Cheap to clone.
///
/// A generated client upon a bare channel panics where a status comes with details that are no base64; upon this one the
/// status comes without them.
#[derive(Debug, Clone)]
pub struct CheckedChannel(Channel);

impl CheckedChannel {
    /// The same channel, with a look at what comes back.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<Request<Body>> for CheckedChannel {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            drop_malformed_details(response.headers_mut());
            Ok(response.map(|body| Body::new(CheckedBody(body))))
        })
    }
}

/// The rest of an answer.
struct CheckedBody(Body);

impl http_body::Body for CheckedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(Pin::new(&mut self.get_mut().0).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            drop_malformed_details(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Removes the details of a status that are no base64 from the headers or trailers of an answer. tonic panics at them.
pub fn drop_malformed_details(headers: &mut HeaderMap) {
    if !headers.contains_key(STATUS_DETAILS) {
        return;
    }
    // Decoded as tonic will decode them.
    let metadata = MetadataMap::from_headers(mem::take(headers));
    let readable = metadata.get_bin(STATUS_DETAILS).is_some_and(|details| details.to_bytes().is_ok());
    *headers = metadata.into_headers();
    if !readable {
        headers.remove(STATUS_DETAILS);
        tracing::debug!("the peer's status came with details that cannot be read");
    }
}

/// Where gRPC puts the details of a status.
const STATUS_DETAILS: &str = "grpc-status-details-bin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_read_is_dropped() {
        for (details, stays) in [
            ("", true),
            ("aGVsbG8", true),
            ("aGVsbG8=", true),
            ("aGVsbG8!", false),
            ("a", false),
            ("%%%", false),
            ("aGVs,bG8=", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", "3".parse().expect("a value"));
            headers.insert(STATUS_DETAILS, details.parse().expect("a value"));
            drop_malformed_details(&mut headers);
            assert_eq!(headers.contains_key(STATUS_DETAILS), stays, "{details}");
            let status = Status::from_header_map(&headers).expect("a status");
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
        }
    }
}
