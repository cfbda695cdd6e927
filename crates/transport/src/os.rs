//! Everything that depends on the operating system: descriptors, files, groups, processes, sockets, and the exit of the
//! process.

pub(crate) mod descriptors;
pub(crate) mod exit;
pub(crate) mod files;
pub(crate) mod groups;
pub(crate) mod processes;
pub(crate) mod sockets;
