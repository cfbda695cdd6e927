//! Traces that go on in the other process: W3C Trace Context in gRPC metadata.

use std::{
    hash::{BuildHasher as _, RandomState},
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

/// The context of the call that this task serves, if it is traced. Calls that the task makes through [`TraceCalls`] go
/// on with it.
#[must_use]
pub fn current_trace() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Does work as part of a trace, such as one that began outside of gRPC.
pub async fn in_trace<F: Future>(context: TraceContext, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

/// A tower layer for clients: sends each call's place in its trace to the peer.
///
/// A call that is made while another is served, or [`in_trace`], goes on with that trace. Any other begins one, so that
/// the logs of both processes can be brought together. A call that has a `traceparent` already keeps it.
///
/// ```
/// # use rpcplugin_transport::TraceCalls;
/// # use tower_layer::Layer as _;
/// # fn example(channel: rpcplugin_transport::http2::PluginChannel) {
/// // Hand it to a generated client in place of the channel.
/// let channel = TraceCalls.layer(channel);
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct TraceCalls;

/// A tower layer for services: takes each call's place in its trace from the peer.
///
/// A call with a `traceparent` is served within a span `call` that names the trace, and whoever serves it finds it as
/// [`current_trace`] and as an extension of the request. A call without one is handed on as it is.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
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
            && let Some(context) = current_trace().map(|context| context.child(random())).or_else(begin)
        {
            write(&context, request.headers_mut());
        }
        self.0.call(request)
    }
}

type Serving<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<S, B> Service<Request<B>> for TracedService<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Serving<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(context) = read(request.headers()) else { return Box::pin(self.0.call(request)) };
        let span = tracing::debug_span!(
            "call",
            rpc.method = request.uri().path(),
            trace.id = format_args!("{:032x}", context.trace_id()),
            parent.id = format_args!("{:016x}", context.span_id()),
        );
        request.extensions_mut().insert(context.clone());
        Box::pin(CURRENT.scope(context, self.0.call(request)).instrument(span))
    }
}

/// The context in these headers, if there is a valid one.
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

/// A trace that begins here. Nobody records it unless they want to.
fn begin() -> Option<TraceContext> {
    TraceContext::new(u128::from(random()) << 64 | u128::from(random()), random(), false)
}

/// Ids have to differ, and keep nothing secret.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A service that answers with the trace that it sees.
    #[derive(Clone)]
    struct Seen;

    impl Service<Request<()>> for Seen {
        type Response = (Option<TraceContext>, Option<TraceContext>);
        type Error = Infallible;
        type Future = Serving<Self::Response, Infallible>;

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
    async fn a_call_goes_on_with_the_trace_it_is_made_in() {
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
    async fn a_header_that_is_there_stays() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let request =
            Request::builder().header(TraceContext::TRACEPARENT, header).body(()).expect("a request");
        assert_eq!(seen(request).await.expect("traced").traceparent(), header);
        let request =
            Request::builder().header(TraceContext::TRACEPARENT, "junk").body(()).expect("a request");
        assert_eq!(seen(request).await, None);
    }
}
