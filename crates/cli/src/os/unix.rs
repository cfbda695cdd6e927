//! Unix: Linux, macOS and the BSDs.

pub(crate) mod descriptors;
pub(crate) mod file;
pub(crate) mod host;
pub(crate) mod interrupt;
#[cfg(feature = "ui")]
pub(crate) mod job_control;
pub(crate) mod lock;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod terminal;
#[cfg(feature = "ui")]
pub(crate) mod usage;
