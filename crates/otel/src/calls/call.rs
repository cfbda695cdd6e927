//! One call, from its beginning to its status.

use std::{any::Any, error::Error, fmt, sync::Arc, time::Instant};

use http::HeaderMap;
use tonic::{Code, Status};
use tracing::Span;

use crate::metrics::Metrics;

/// Which side of a call this process is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// A call that is under way. Dropping it means that it was cancelled.
pub(super) struct Call(Option<Open>);

struct Open {
    span: Span,
    side: Side,
    method: String,
    begun: Instant,
    metrics: Option<Arc<Metrics>>,
}

impl Side {
    /// Whether an answer with this code is an error, for OpenTelemetry: what a caller did wrong is none of a server's.
    pub(crate) fn is_error(self, code: Code) -> bool {
        match self {
            Self::Client => code != Code::Ok,
            Self::Server => matches!(
                code,
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::Unimplemented
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            ),
        }
    }
}

impl Call {
    pub(super) fn new(span: Span, side: Side, method: String, metrics: Option<Arc<Metrics>>) -> Self {
        Self(Some(Open { span, side, method, begun: Instant::now(), metrics }))
    }

    /// The answer has begun, and its status is to come.
    pub(super) fn answered(&self) {
        if let Some(Open { side, method, metrics: Some(metrics), .. }) = &self.0 {
            metrics.answers(*side, method);
        }
    }

    /// The call has its status.
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

/// The code in headers or trailers, if they have one.
pub(super) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

/// The code of an error of a channel, whatever its type: what is no status is a connection that failed.
pub(super) fn code_of<E: 'static>(error: &E) -> Code {
    let error: &dyn Any = error;
    let boxed = || error.downcast_ref::<Box<dyn Error + Send + Sync>>()?.downcast_ref::<Status>();
    error.downcast_ref::<Status>().or_else(boxed).map_or(Code::Unavailable, Status::code)
}

/// The name of a code, as gRPC spells it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
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

    #[test]
    fn a_server_is_not_to_blame_for_its_callers() {
        assert!(Side::Client.is_error(Code::NotFound) && !Side::Server.is_error(Code::NotFound));
        assert!(Side::Server.is_error(Code::Internal) && !Side::Client.is_error(Code::Ok));
    }
}
