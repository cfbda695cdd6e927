//! The calls on one connection.

use std::{
    convert::Infallible,
    future::ready as ready_now,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use hyper::{body::Incoming, rt::Executor, service::Service};
use tokio::time::{Sleep, sleep};
use tonic::body::Body;
use tracing::{Instrument as _, Span};

use super::response::HandlerBody;
use crate::{
    frames::HeaderLimit,
    http2::{
        incoming::IncomingBody,
        timeout::{deadline_exceeded, read_timeout},
    },
    net::PendingConnection,
    service::Services,
};

/// Hands the calls of one connection to their services.
pub(super) struct Calls {
    pub(super) services: Services,
    pub(super) headers: HeaderLimit,
    pub(super) pending: PendingConnection,
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<HandlerBody>;
    type Error = Infallible;
    type Future = Responding;

    fn call(&self, request: Request<Incoming>) -> Responding {
        self.pending.called();
        let timeout = read_timeout(request.headers());
        let (response, limit) = match self.headers.refuse_request(request.uri(), request.headers()) {
            None => self.services.dispatch(request, |body, limit| Body::new(IncomingBody::new(body, limit))),
            Some(status) => (Box::pin(ready_now(Ok(status.into_http()))) as _, None),
        };
        Responding { response, limit, deadline: timeout.map(|timeout| Box::pin(sleep(timeout))) }
    }
}

/// A call whose response has not begun.
pub(super) struct Responding {
    response: Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>,
    /// The limit on the messages of the response.
    limit: Option<u64>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Future for Responding {
    type Output = Result<Response<HandlerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { response, limit, deadline } = &mut *self;
        let response = match (response.as_mut().poll(cx), deadline) {
            (Poll::Ready(Ok(response)), _) => response,
            (Poll::Pending, Some(deadline)) => {
                ready!(deadline.as_mut().poll(cx));
                deadline_exceeded().into_http()
            }
            (Poll::Pending, None) => return Poll::Pending,
        };
        Poll::Ready(Ok(response.map(|body| HandlerBody::new(body, *limit))))
    }
}

/// Runs each call of a connection within a span.
#[derive(Clone)]
pub(super) struct WithinSpan(pub(super) Span);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for WithinSpan {
    fn execute(&self, call: F) {
        tokio::spawn(call.instrument(self.0.clone()));
    }
}
