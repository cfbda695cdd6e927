//! Unix: Linux, macOS and the BSDs.

pub(crate) mod descriptors;
pub(crate) mod file;
pub(crate) mod host;
pub(crate) mod interrupt;
#[cfg(feature = "ui")]
pub(crate) mod job_control;
#[cfg(feature = "ui")]
pub(crate) mod keys;
pub(crate) mod lock;
pub(crate) mod process;
#[cfg(feature = "ui")]
pub(crate) mod raw_mode;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod terminal;
#[cfg(feature = "ui")]
pub(crate) mod usage;
