//! What only Linux offers: sockets that are passed from process to process, with close-on-exec from their first moment.

pub(crate) mod passing;
