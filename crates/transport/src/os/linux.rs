//! What only Linux offers: sockets that are passed from process to process, with close-on-exec from their first moment,
//! and Unix sockets without events for room that no write waits for.

pub(crate) mod passing;
pub(crate) mod quiet_socket;
