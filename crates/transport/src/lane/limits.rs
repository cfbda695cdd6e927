//! The limits that a side announces in its first frame.

use super::frame::Hello;
use crate::frames::HeaderLimit;

/// What one side accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The credit of each call, in bytes.
    pub(crate) call: u32,
    /// The credit of all calls of the connection together, in bytes.
    pub(crate) connection: u32,
    /// The longest data of a frame.
    pub(crate) max_frame: u32,
    /// The limit on the headers of a call. Longer headers arrive, so that they fail one call.
    pub(crate) max_headers: HeaderLimit,
}

impl Limits {
    pub(super) fn hello(self) -> Hello {
        Hello {
            call_credit: self.call.max(LEAST_CREDIT),
            connection_credit: self.connection.max(LEAST_CREDIT),
            max_frame: self.max_frame.max(1),
            max_headers: self.max_headers.for_stack(),
            max_calls: MAX_CALLS,
        }
    }
}

/// How many calls may be open at once on a connection.
const MAX_CALLS: u32 = 1 << 16;

/// The smallest credit that a side may announce. Less could not carry a call's first message.
pub(super) const LEAST_CREDIT: u32 = 1024;
