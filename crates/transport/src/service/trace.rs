//! Traces across processes: W3C Trace Context in gRPC metadata.

use std::{
    pin::Pin,
    task::{self, Poll},
};

use http::{HeaderMap, HeaderValue, Request};
use rpcplugin_core::TraceContext;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument as _;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Returns the trace context of the call that this task serves, if there is one. Calls that the task makes through
/// [`TraceCalls`] continue the trace.
#[must_use]
pub fn current_trace() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs work as part of a trace, such as a trace that began outside of gRPC.
pub async fn in_trace<F: Future>(context: TraceContext, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

/// A tower layer for clients that sends the trace context of each call to the peer.
///
/// A call that is made while another call is served, or [`in_trace`], continues that trace. Any other call begins a
/// trace, so that the logs of both processes can be correlated. A call with a `traceparent` keeps it.
///
/// ```
/// # use rpcplugin_transport::TraceCalls;
/// # use tower_layer::Layer as _;
/// # fn example(channel: rpcplugin_transport::http2::PluginChannel) {
/// // Give it to a generated client in place of the channel.
/// let channel = TraceCalls.layer(channel);
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no settings")]
pub struct TraceCalls;

/// A tower layer for services that takes the trace context of each call from the peer.
///
/// A call with a `traceparent` is served within a span `call` that has the ids of the trace. The handler finds the
/// context by [`current_trace`] and as an extension of the request. A call without a `traceparent` passes unchanged.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no settings")]
pub struct TraceServices;

/// A client behind [`TraceCalls`].
#[derive(Debug, Clone)]
pub struct TracedCalls<S>(S);

/// A service behind [`TraceServices`].
#[derive(Debug, Clone)]
pub struct TracedService<S>(S);

impl<S> Layer<S> for TraceCalls {
    type Service = TracedCalls<S>;

    fn layer(&self, inner: S) -> TracedCalls<S> {
        TracedCalls(inner)
    }
}

impl<S> Layer<S> for TraceServices {
    type Service = TracedService<S>;

    fn layer(&self, inner: S) -> TracedService<S> {
        TracedService(inner)
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for TracedCalls<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if !request.headers().contains_key(TraceContext::TRACEPARENT)
            && let Some(context) =
                current_trace().map(|context| context.child(fastrand::u64(..))).or_else(begin)
        {
            write(&context, request.headers_mut());
        }
        self.0.call(request)
    }
}

type Traced<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<S, B> Service<Request<B>> for TracedService<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Traced<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(context) = read(request.headers()) else { return Box::pin(self.0.call(request)) };
        let span = tracing::debug_span!(
            target: TARGET,
            "call",
            rpc.method = request.uri().path(),
            trace.id = format_args!("{:032x}", context.trace_id()),
            parent.id = format_args!("{:016x}", context.span_id()),
        );
        request.extensions_mut().insert(context.clone());
        Box::pin(CURRENT.scope(context, self.0.call(request)).instrument(span))
    }
}

/// Reads the context from headers, if they have a valid one.
fn read(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::parse(text(TraceContext::TRACEPARENT)?, text(TraceContext::TRACESTATE))
}

fn write(context: &TraceContext, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(&context.traceparent()) {
        headers.insert(TraceContext::TRACEPARENT, value);
    }
    if !context.tracestate().is_empty()
        && let Ok(value) = HeaderValue::from_str(context.tracestate())
    {
        headers.insert(TraceContext::TRACESTATE, value);
    }
}

/// Begins a trace, with the flag that says that it is not recorded.
fn begin() -> Option<TraceContext> {
    TraceContext::new(fastrand::u128(..), fastrand::u64(..), false)
}

/// The target of the span `call`. Exporters recognise the span by it.
const TARGET: &str = "rpcplugin_transport::trace";

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A service that responds with the trace that it sees.
    #[derive(Clone)]
    struct Seen;

    impl Service<Request<()>> for Seen {
        type Response = (Option<TraceContext>, Option<TraceContext>);
        type Error = Infallible;
        type Future = Traced<Self::Response, Infallible>;

        fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<()>) -> Self::Future {
            let extension = request.extensions().get().cloned();
            Box::pin(async move { Ok((current_trace(), extension)) })
        }
    }

    async fn seen(request: Request<()>) -> Option<TraceContext> {
        let (current, extension) =
            TraceCalls.layer(TraceServices.layer(Seen)).call(request).await.expect("answered");
        assert_eq!(current, extension);
        current
    }

    #[tokio::test]
    async fn a_call_within_a_trace_continues_it() {
        let outer = TraceContext::parse(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            Some("vendor=value"),
        )
        .expect("valid");
        let inner = in_trace(outer.clone(), seen(Request::new(()))).await.expect("traced");
        assert_eq!(inner.trace_id(), outer.trace_id());
        assert_ne!(inner.span_id(), outer.span_id());
        assert!(inner.is_sampled());
        assert_eq!(inner.tracestate(), "vendor=value");
    }

    #[tokio::test]
    async fn a_call_without_a_trace_begins_one() {
        let (one, other) = (seen(Request::new(())).await, seen(Request::new(())).await);
        assert_ne!(one.expect("traced").trace_id(), other.expect("traced").trace_id());
        assert_eq!(current_trace(), None);
    }

    #[tokio::test]
    async fn a_traceparent_of_the_caller_stays() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let request =
            Request::builder().header(TraceContext::TRACEPARENT, header).body(()).expect("a request");
        assert_eq!(seen(request).await.expect("traced").traceparent(), header);
        let request =
            Request::builder().header(TraceContext::TRACEPARENT, "junk").body(()).expect("a request");
        assert_eq!(seen(request).await, None);
    }
}
