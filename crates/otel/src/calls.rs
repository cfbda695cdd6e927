//! Calls, made and served: a span for each, and the time it took.

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
pub(crate) use self::call::{Side, code_name};
use crate::{metrics::Metrics, remote};

/// A tower layer for clients: a span for each call, whose place in its trace goes with the call, and its duration.
///
/// Made by [`Telemetry::calls`](crate::Telemetry::calls). A call is over when its answer has been read to its end, has
/// failed, or is dropped, which counts as cancelled.
#[derive(Debug, Clone)]
pub struct InstrumentCalls(Option<Arc<Metrics>>);

/// A tower layer for services: a span for each call, as the child of the caller's, and its duration.
///
/// Made by [`Telemetry::services`](crate::Telemetry::services).
#[derive(Debug, Clone)]
pub struct InstrumentServices(Option<Arc<Metrics>>);

/// A client behind [`InstrumentCalls`], or a service behind [`InstrumentServices`].
#[derive(Debug, Clone)]
pub struct Instrumented<S> {
    inner: S,
    side: Side,
    metrics: Option<Arc<Metrics>>,
}

/// A call that is under way.
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
        Instrumented { inner, side: Side::Client, metrics: self.0.clone() }
    }
}

impl<S> Layer<S> for InstrumentServices {
    type Service = Instrumented<S>;

    fn layer(&self, inner: S) -> Instrumented<S> {
        Instrumented { inner, side: Side::Server, metrics: self.0.clone() }
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
            Side::Client => client_span(&method, request.headers_mut()),
            Side::Server => server_span(&method, request.headers()),
        };
        let answer = span.in_scope(|| self.inner.call(request)).instrument(span.clone());
        let call = Call::new(span, self.side, method, self.metrics.clone());
        Box::pin(async move {
            match answer.await {
                Ok(answer) => {
                    // An answer without messages has its status in front.
                    let call = match code_in(answer.headers()) {
                        Some(code) => {
                            call.finish(code);
                            None
                        }
                        None => {
                            call.answered();
                            Some(call)
                        }
                    };
                    Ok(answer.map(|body| CallBody::new(body, call)))
                }
                Err(error) => {
                    call.finish(code_of(&error));
                    Err(error)
                }
            }
        })
    }
}

/// The span of a call that is made, and its place in the headers.
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
    // A trace that came by another way than OpenTelemetry's spans goes on too.
    if let Some(outer) = current_trace()
        && !Span::current().context().span().span_context().is_valid()
    {
        let _ = span.set_parent(remote::as_parent(&outer));
    }
    remote::write(span.context().span().span_context(), headers);
    span
}

/// The span of a call that is served: a child of its caller's, or the first of its trace. For the log it is within the
/// span of whoever serves it.
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
    // Fails only where nobody exports.
    let _ = span.set_parent(remote::read(headers).unwrap_or_default());
    span
}
