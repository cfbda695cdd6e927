//! A call, from its beginning to its status.

use std::{any::Any, error::Error, fmt, sync::Arc, time::Instant};

use http::HeaderMap;
use tonic::{Code, Status};
use tracing::Span;

use crate::{
    metrics::Metrics,
    rpc::{CallSide, code_name},
};

/// A call that has not ended. Dropping it records the call as cancelled.
pub(super) struct Call(Option<Open>);

struct Open {
    span: Span,
    side: CallSide,
    method: String,
    begun: Instant,
    metrics: Option<Arc<Metrics>>,
}

impl Call {
    pub(super) fn new(span: Span, side: CallSide, method: String, metrics: Option<Arc<Metrics>>) -> Self {
        Self(Some(Open { span, side, method, begun: Instant::now(), metrics }))
    }

    /// Records that the response has begun. The status follows.
    pub(super) fn responds(&self) {
        if let Some(Open { side, method, metrics: Some(metrics), .. }) = &self.0 {
            metrics.responds(*side, method);
        }
    }

    /// Ends the call with its status.
    pub(super) fn finish(mut self, code: Code) {
        self.close(code);
    }

    pub(super) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(open) => open.span.in_scope(work),
            None => work(),
        }
    }

    fn close(&mut self, code: Code) {
        let Some(Open { span, side, method, begun, metrics }) = self.0.take() else { return };
        let name = code_name(code);
        span.record("rpc.response.status_code", name);
        if side.is_error(code) {
            span.record("error.type", name);
            span.record("otel.status_code", "error");
        }
        if let Some(metrics) = metrics {
            metrics.call(side, &method, code, begun.elapsed());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.close(Code::Cancelled);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.0.as_ref().map(|open| &open.method)).finish()
    }
}

/// Returns the code in headers or trailers, if there is one.
pub(super) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

/// Returns the code of a channel's error of any type. An error that is not a status is a failed connection.
pub(super) fn code_of<E: 'static>(error: &E) -> Code {
    let error: &dyn Any = error;
    let boxed = || error.downcast_ref::<Box<dyn Error + Send + Sync>>()?.downcast_ref::<Status>();
    error.downcast_ref::<Status>().or_else(boxed).map_or(Code::Unavailable, Status::code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_error_is_found_in_any_wrapping() {
        assert_eq!(code_of(&Status::not_found("it")), Code::NotFound);
        let boxed: Box<dyn Error + Send + Sync> = Status::aborted("it").into();
        assert_eq!(code_of(&boxed), Code::Aborted);
        assert_eq!(code_of(&std::io::Error::other("broken")), Code::Unavailable);
    }
}
