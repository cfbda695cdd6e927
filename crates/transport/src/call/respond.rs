//! The response to a call, until its headers are known.

use std::{
    convert::Infallible,
    future::ready as ready_now,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::{Sleep, sleep};
use tonic::body::Body;

use super::{
    handler_body::HandlerBody,
    incoming::IncomingBody,
    timeout::{deadline_exceeded, read_timeout},
};
use crate::{frames::HeaderLimit, service::Services};

/// Responds to the calls of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Responder {
    services: Services,
    headers: HeaderLimit,
}

/// A call whose response has not begun.
pub(crate) struct Responding {
    response: Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>,
    /// The limit on the messages of the response.
    limit: Option<u64>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Responder {
    /// Responds by these services, and refuses calls whose headers are too long.
    pub(crate) fn new(services: Services, headers: HeaderLimit) -> Self {
        Self { services, headers }
    }

    /// Starts the response to a call. The body of the request has the messages as they arrive.
    pub(crate) fn respond<B>(&self, request: Request<B>) -> Responding
    where
        B: http_body::Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let timeout = read_timeout(request.headers());
        let (response, limit) = match self.headers.refuse_request(request.uri(), request.headers()) {
            None => self.services.dispatch(request, |body, limit| Body::new(IncomingBody::new(body, limit))),
            Some(status) => (Box::pin(ready_now(Ok(status.into_http()))) as _, None),
        };
        Responding { response, limit, deadline: timeout.map(|timeout| Box::pin(sleep(timeout))) }
    }
}

/// Resolves with the response of the handler, or with the status for a call whose deadline has passed.
impl Future for Responding {
    type Output = Response<HandlerBody>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { response, limit, deadline } = &mut *self;
        let response = match (response.as_mut().poll(cx), deadline) {
            (Poll::Ready(Ok(response)), _) => response,
            (Poll::Pending, Some(deadline)) => {
                std::task::ready!(deadline.as_mut().poll(cx));
                deadline_exceeded().into_http()
            }
            (Poll::Pending, None) => return Poll::Pending,
        };
        Poll::Ready(response.map(|body| HandlerBody::new(body, *limit)))
    }
}
