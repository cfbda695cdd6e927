//! Windows.

pub(crate) mod bridge;
pub(crate) mod file;
pub(crate) mod interrupt;
mod kernel;
pub(crate) mod lock;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod terminal;
