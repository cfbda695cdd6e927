//! Unix sockets as files: their directories, their permissions, and the removal of stale ones.

mod dir;
mod error;
mod file;
mod group;
mod orphans;
mod owner;
mod stale;

pub(crate) use dir::warn_if_open;
pub use dir::{SocketDir, remove_empty_dir};
pub use error::SocketDirError;
pub(crate) use file::SocketFile;
pub use group::SocketGroup;
pub use orphans::remove_orphaned_dir;
pub use owner::Owner as ProcessRecord;
pub use stale::remove_stale_socket;
pub(crate) use stale::{Occupant, clear, occupant};
