//! The program's file, before it is started: where it is, of which format, and whether it is the one that was meant.

pub(crate) mod checksum;
pub(crate) mod discover;
mod embedded_metadata;
pub(crate) mod file;
mod format;
mod interpreter;
pub(crate) mod lookup;
pub(crate) mod notes;
#[cfg(feature = "sandbox")]
pub(crate) mod parts;
pub(crate) mod verified_executable;

pub use self::{
    checksum::{Checksum, ChecksumError},
    discover::{DiscoveredPlugin, discover, discover_plugins},
    file::{Obstacle, ProgramFile},
};
