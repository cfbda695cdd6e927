//! Windows.

pub(crate) mod bridge;
pub(crate) mod file;
pub(crate) mod interrupt;
#[cfg(feature = "ui")]
pub(crate) mod job_control;
mod kernel;
pub(crate) mod lock;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod terminal;
#[cfg(feature = "ui")]
pub(crate) mod usage;
