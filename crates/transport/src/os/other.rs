//! What systems other than Linux lack.

pub(crate) mod passing;
pub(crate) mod quiet_socket;
