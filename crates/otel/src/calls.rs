//! A span and a duration for each call that this process makes or serves.

mod body;
mod call;

use std::{pin::Pin, sync::Arc, task};

use http::{Request, Response};
use opentelemetry::trace::TraceContextExt as _;
use rpcplugin_transport::current_trace;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{Instrument as _, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub use self::body::CallBody;
use self::call::{Call, code_in, code_of};
use crate::{metrics::Metrics, propagation, rpc::CallSide};

/// A tower layer for clients that makes a span for each call, sends the span's trace context with the call, and records the
/// duration.
///
/// Made by [`Telemetry::calls`](crate::Telemetry::calls). A call ends when its response has been read to the end or has
/// failed. A response that is dropped earlier counts as cancelled.
#[derive(Debug, Clone)]
pub struct InstrumentCalls(Option<Arc<Metrics>>);

/// A tower layer for services that makes a span for each call, as a child of the caller's span, and records the duration.
///
/// Made by [`Telemetry::services`](crate::Telemetry::services).
#[derive(Debug, Clone)]
pub struct InstrumentServices(Option<Arc<Metrics>>);

/// A client behind [`InstrumentCalls`], or a service behind [`InstrumentServices`].
#[derive(Debug, Clone)]
pub struct Instrumented<S> {
    inner: S,
    side: CallSide,
    metrics: Option<Arc<Metrics>>,
}

/// The future of a call.
pub type CallFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl InstrumentCalls {
    pub(crate) fn new(metrics: Option<Arc<Metrics>>) -> Self {
        Self(metrics)
    }
}

impl InstrumentServices {
    pub(crate) fn new(metrics: Option<Arc<Metrics>>) -> Self {
        Self(metrics)
    }
}

impl<S> Layer<S> for InstrumentCalls {
    type Service = Instrumented<S>;

    fn layer(&self, inner: S) -> Instrumented<S> {
        Instrumented { inner, side: CallSide::Client, metrics: self.0.clone() }
    }
}

impl<S> Layer<S> for InstrumentServices {
    type Service = Instrumented<S>;

    fn layer(&self, inner: S) -> Instrumented<S> {
        Instrumented { inner, side: CallSide::Server, metrics: self.0.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for Instrumented<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    R: http_body::Body,
{
    type Response = Response<CallBody<R>>;
    type Error = S::Error;
    type Future = CallFuture<Self::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let span = match self.side {
            CallSide::Client => client_span(&method, request.headers_mut()),
            CallSide::Server => server_span(&method, request.headers()),
        };
        let response = span.in_scope(|| self.inner.call(request)).instrument(span.clone());
        let call = Call::new(span, self.side, method, self.metrics.clone());
        Box::pin(async move {
            match response.await {
                Ok(response) => {
                    // A response without messages has its status in the headers.
                    let call = match code_in(response.headers()) {
                        Some(code) => {
                            call.finish(code);
                            None
                        }
                        None => {
                            call.responds();
                            Some(call)
                        }
                    };
                    Ok(response.map(|body| CallBody::new(body, call)))
                }
                Err(error) => {
                    call.finish(code_of(&error));
                    Err(error)
                }
            }
        })
    }
}

/// Makes the span of an outgoing call, and writes its trace context to the headers.
fn client_span(method: &str, headers: &mut http::HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: "rpcplugin_otel",
        "call",
        otel.name = method,
        otel.kind = "client",
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    );
    // Continue a trace of rpcplugin when there is no OpenTelemetry span.
    if let Some(outer) = current_trace()
        && !Span::current().context().span().span_context().is_valid()
    {
        let _ = span.set_parent(propagation::as_parent(&outer));
    }
    propagation::write(span.context().span().span_context(), headers);
    span
}

/// Makes the span of an incoming call. For the collector it is a child of the caller's span, or the first of its trace. For
/// the log it is a child of the current span.
fn server_span(method: &str, headers: &http::HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: "rpcplugin_otel",
        "call",
        otel.name = method,
        otel.kind = "server",
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    );
    // This fails only if no layer exports spans.
    let _ = span.set_parent(propagation::read(headers).unwrap_or_default());
    span
}
