//! Unix: Linux, macOS and the BSDs.

pub(crate) mod cores;
pub(crate) mod files;
pub(crate) mod processes;
pub(crate) mod programs;
pub(crate) mod table;
pub(crate) mod termination;
pub(crate) mod usage;
