//! The calls of the plugin's own services that are in flight.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

/// A tower layer that counts the calls in flight and can cut them. A call is in flight until its last message or its status
/// has been handed to the transport.
///
/// Cheap to clone. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlightCalls(Arc<Calls>);

#[derive(Debug, Default)]
struct Calls {
    count: TaskTracker,
    cut: CancellationToken,
}

/// A service behind [`InFlightCalls`].
#[derive(Clone, Debug)]
pub(crate) struct Counted<S> {
    calls: Arc<Calls>,
    service: S,
}

impl InFlightCalls {
    /// Resolves when no call is in flight.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) async fn finished(&self) {
        self.0.count.close();
        self.0.count.wait().await;
    }

    /// Ends all calls in flight, and all later calls, with UNAVAILABLE.
    pub(crate) fn cut(&self) {
        self.0.cut.cancel();
    }
}

impl<S> Layer<S> for InFlightCalls {
    type Service = Counted<S>;

    fn layer(&self, service: S) -> Counted<S> {
        Counted { calls: Arc::clone(&self.0), service }
    }
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<CountedBody>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Call { cut: Cut::new(&self.calls), _counted: self.calls.count.token() };
        ResponseFuture { response: self.service.call(request), call: Some(call) }
    }
}

/// A call from its request to the end of its response.
#[derive(Debug)]
struct Call {
    cut: Cut,
    _counted: TaskTrackerToken,
}

/// Resolves when calls are cut. Registers with the token only when it is first polled: most calls end before.
#[derive(Debug)]
struct Cut {
    calls: Arc<Calls>,
    waiting: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Cut {
    fn new(calls: &Arc<Calls>) -> Self {
        Self { calls: Arc::clone(calls), waiting: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wait = || Box::pin(self.calls.cut.clone().cancelled_owned());
        self.waiting.get_or_insert_with(wait).as_mut().poll(cx)
    }
}

/// Resolves with the response of a call.
#[derive(Debug)]
pub(crate) struct ResponseFuture<F> {
    response: F,
    /// Moved into the body of the response.
    call: Option<Call>,
}

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<CountedBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { response, call } = &mut *self;
        let response = match (Pin::new(response).poll(cx), call.as_mut()) {
            (Poll::Ready(Ok(response)), _) => response,
            (Poll::Pending, Some(call)) => {
                ready!(call.cut.poll(cx));
                cut().into_http()
            }
            (Poll::Pending, None) => return Poll::Pending,
        };
        let call = call.take();
        Poll::Ready(Ok(response.map(|body| CountedBody { body, call })))
    }
}

/// The body of a response. The call ends when the body is dropped.
#[derive(Debug)]
pub(crate) struct CountedBody {
    body: Body,
    /// `None` once the call was cut.
    call: Option<Call>,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { body, call } = &mut *self;
        let Some(open) = call else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(open.cut.poll(cx));
        *call = None;
        let mut trailers = HeaderMap::new();
        cut().add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn cut() -> Status {
    Status::unavailable("the plugin ended before the call did")
}

#[cfg(test)]
mod tests {
    use std::future::{self, Pending, pending};

    use futures_util::{poll, stream};
    use http_body_util::BodyExt as _;
    use tonic::Code;

    use super::*;

    #[derive(Clone)]
    struct Responds;

    impl Service<Request<Body>> for Responds {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = future::Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            future::ready(Ok(Response::new(Body::empty())))
        }
    }

    #[derive(Clone)]
    struct Never;

    impl Service<Request<Body>> for Never {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Pending<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            pending()
        }
    }

    #[tokio::test]
    async fn a_call_is_in_flight_from_its_request_to_the_end_of_its_response() {
        let calls = InFlightCalls::default();
        calls.finished().await;
        let mut service = calls.layer(Responds);
        let dropped = service.call(Request::new(Body::empty()));
        let responding = service.call(Request::new(Body::empty()));
        drop(dropped);
        assert!(poll!(Box::pin(calls.finished())).is_pending(), "a request counts");
        let response = responding.await;
        assert!(poll!(Box::pin(calls.finished())).is_pending(), "a response counts");
        drop(response);
        calls.finished().await;
    }

    #[tokio::test]
    async fn calls_can_be_cut_before_and_during_their_responses() {
        let calls = InFlightCalls::default();
        let mut slow = calls.layer(Never);
        let waiting = tokio::spawn(slow.call(Request::new(Body::empty())));
        let never = http_body_util::StreamBody::new(stream::pending::<Result<Frame<Bytes>, Status>>());
        let mut streaming = calls.layer(Responds).call(Request::new(Body::empty())).await.unwrap();
        streaming.body_mut().body = Body::new(never);
        assert!(poll!(streaming.body_mut().frame()).is_pending());
        calls.cut();
        let response = waiting.await.unwrap().unwrap();
        assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), Code::Unavailable);
        let trailers = streaming.body_mut().frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(Status::from_header_map(&trailers).unwrap().code(), Code::Unavailable);
        assert!(streaming.body_mut().frame().await.is_none());
        drop((response, streaming));
        calls.finished().await;
    }
}
