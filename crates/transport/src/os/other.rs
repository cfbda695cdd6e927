//! What systems other than Linux lack.

pub(crate) mod passing;
