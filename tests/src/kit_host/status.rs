//! What a status of gRPC carries, and calls with a deadline.

use std::time::Duration;

use prost::Message as _;
use tonic::{Request, Status};

use crate::contract::RpcStatus;

/// A request that has so long to be answered.
pub(crate) fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    // tonic panics at what is too long to be sent.
    request.set_timeout(deadline.min(LONG));
    request
}

/// Longer than any run of the kit.
const LONG: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The details of a status, each an `Any`.
pub(crate) fn details(status: &Status) -> Vec<prost_types::Any> {
    // What cannot be read is a peer's own affair: such a status has no details that anybody could name.
    RpcStatus::decode(status.details()).map(|status| status.details).unwrap_or_default()
}
