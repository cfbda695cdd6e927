//! The calls on one connection.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::{body::Incoming, rt::Executor, service::Service};
use tracing::{Instrument as _, Span};

use crate::{
    call::{HandlerBody, Responder, Responding},
    net::PendingConnection,
};

/// Hands the calls of one connection to their services.
pub(super) struct Calls {
    pub(super) responder: Responder,
    pub(super) pending: PendingConnection,
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<HandlerBody>;
    type Error = Infallible;
    type Future = Infallibly;

    fn call(&self, request: Request<Incoming>) -> Infallibly {
        self.pending.called();
        Infallibly(self.responder.respond(request))
    }
}

/// A call whose response has not begun.
pub(super) struct Infallibly(Responding);

impl Future for Infallibly {
    type Output = Result<Response<HandlerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Ok)
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
