//! The span of each call that names an instance.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use rpcplugin_core::InstanceId;
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;
use tracing::{Instrument as _, Span, instrument::Instrumented};

use super::call_id;

/// A tower layer that serves each call within the span of the instance that the call names. A call without the key, or with a
/// malformed id, has no span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InstanceSpans;

/// A service behind [`InstanceSpans`].
#[derive(Clone, Debug)]
pub(crate) struct Spanned<S>(S);

/// Makes the span of an instance. Its level is that of errors, so that every record has the field, whatever level the log has.
pub(super) fn span(id: &str) -> Span {
    tracing::error_span!("instance", instance = id)
}

impl<S> Layer<S> for InstanceSpans {
    type Service = Spanned<S>;

    fn layer(&self, service: S) -> Spanned<S> {
        Spanned(service)
    }
}

impl<S> Service<Request<Body>> for Spanned<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<SpannedBody>;
    type Error = Infallible;
    type Future = SpannedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let named = request.headers().contains_key(InstanceId::METADATA_KEY);
        let id = if named { call_id::read(request.headers()).ok() } else { None };
        let span = id.map_or_else(Span::none, span);
        let response = span.in_scope(|| self.0.call(request));
        SpannedFuture(response.instrument(span))
    }
}

/// Resolves with the response of a call.
#[derive(Debug)]
pub(crate) struct SpannedFuture<F>(Instrumented<F>);

impl<F> Future for SpannedFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<SpannedBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(Pin::new(&mut self.0).poll(cx));
        let span = self.0.span().clone();
        Poll::Ready(Ok(response.map(|body| SpannedBody { body: Some(body), span })))
    }
}

/// The body of a response: a handler that streams makes its messages when the body is polled.
#[derive(Debug)]
pub(crate) struct SpannedBody {
    /// `None` once dropped.
    body: Option<Body>,
    span: Span,
}

impl http_body::Body for SpannedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { body, span } = &mut *self;
        let Some(body) = body else { return Poll::Ready(None) };
        let _entered = span.enter();
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(http_body::Body::size_hint).unwrap_or_default()
    }
}

impl Drop for SpannedBody {
    /// Drops the handler's stream within the span.
    fn drop(&mut self) {
        let _entered = self.span.enter();
        self.body = None;
    }
}
