//! One call as every transport serves it: its refusal, its deadline, its handler, and the limits of its messages.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod handler_body;
mod incoming;
mod message_scan;
mod respond;
mod timeout;

pub(crate) use handler_body::HandlerBody;
pub use incoming::IncomingBody;
pub(crate) use respond::{Responder, Responding};
pub(crate) use timeout::{Deadline, deadline_exceeded, is_deadline_exceeded, read_timeout, write_timeout};
