//! The shutdown of the plugin: the handle that begins it, and what begins it from outside.

mod file;
mod handle;
mod host_exit;
mod orphaned;
mod signals;
mod triggers;

pub use handle::{Shutdown, ShutdownCause};

pub(crate) use self::{orphaned::OrphanTimeout, triggers::Triggers};
