//! The details of a gRPC status, and calls with a timeout.

use std::time::Duration;

use prost::Message as _;
use tonic::{Request, Status};

use crate::contract::RpcStatus;

/// A request with this timeout.
pub(crate) fn within<T>(timeout: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    // tonic panics for a timeout that is too long for the wire.
    request.set_timeout(timeout.min(LONG));
    request
}

/// Longer than any run of the kit.
const LONG: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The details of a status, each an `Any`.
pub(crate) fn details(status: &Status) -> Vec<prost_types::Any> {
    // Details that cannot be decoded count as no details.
    RpcStatus::decode(status.details()).map(|status| status.details).unwrap_or_default()
}
