//! Unix: Linux, macOS and the BSDs.

pub(crate) mod descriptors;
pub(crate) mod exit;
pub(crate) mod files;
pub(crate) mod groups;
pub(crate) mod processes;
pub(crate) mod sockets;
