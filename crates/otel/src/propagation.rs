//! Propagation: the trace context of a call, between headers and OpenTelemetry's types.

use std::str::FromStr as _;

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState},
};
use rpcplugin_core::TraceContext;

/// Returns the context of the caller's span, if the headers have one.
pub(crate) fn read(headers: &HeaderMap) -> Option<Context> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let context = TraceContext::parse(text(TraceContext::TRACEPARENT)?, text(TraceContext::TRACESTATE))?;
    Some(as_parent(&context))
}

/// Returns a trace context as the parent of a span.
pub(crate) fn as_parent(context: &TraceContext) -> Context {
    let flags = if context.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let state = TraceState::from_str(context.tracestate()).unwrap_or_default();
    let (trace, span) = (context.trace_id().into(), context.span_id().into());
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, state))
}

/// Writes the context of a span to the headers, in place of any context there. Writes nothing for an invalid context, which
/// a span has when it is not traced.
pub(crate) fn write(span: &SpanContext, headers: &mut HeaderMap) {
    let (trace, id) = (u128::from_be_bytes(span.trace_id().to_bytes()), span.span_id().to_bytes());
    let Some(context) = TraceContext::new(trace, u64::from_be_bytes(id), span.is_sampled()) else { return };
    headers.remove(TraceContext::TRACESTATE);
    if let Ok(value) = HeaderValue::from_str(&context.traceparent()) {
        headers.insert(TraceContext::TRACEPARENT, value);
    }
    let state = span.trace_state().header();
    if !state.is_empty()
        && let Ok(value) = HeaderValue::from_str(&state)
    {
        headers.insert(TraceContext::TRACESTATE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_is_written_can_be_read() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "traceparent",
            HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        );
        headers.insert("tracestate", HeaderValue::from_static("vendor=value"));
        let context = read(&headers).unwrap();
        let mut again = HeaderMap::new();
        again.insert("traceparent", HeaderValue::from_static("another"));
        write(context.span().span_context(), &mut again);
        assert_eq!(again, headers);
    }

    #[test]
    fn an_invalid_context_is_not_written() {
        let mut headers = HeaderMap::new();
        write(&SpanContext::empty_context(), &mut headers);
        assert!(headers.is_empty());
        assert!(read(&headers).is_none());
    }
}
