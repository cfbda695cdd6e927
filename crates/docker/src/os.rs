//! Everything that depends on the operating system: the socket of the engine, users, and the counters of the kernel.
//!
//! Windows has no Unix sockets here. An engine there is reached over TCP.

use std::io;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(crate) use self::linux::{HeldSocket, OutOfMemoryCounter, most_processes};
#[cfg(not(target_os = "linux"))]
pub(crate) use self::other::{HeldSocket, OutOfMemoryCounter, most_processes};
#[cfg(unix)]
pub(crate) use self::unix::{connect, own_ids, own_limits, owner};
#[cfg(windows)]
pub(crate) use self::windows::{connect, own_ids, own_limits, owner};

/// The error of a plugin that made something else where its socket should be.
fn not_a_socket() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the plugin did not make a socket there, but a link or another file",
    )
}

/// A resource limit of each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessLimit {
    /// The name that engines have for the limit, for example `nofile`.
    pub(crate) name: &'static str,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// The numbers of a user and of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The owner of a directory, and what owner and group may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirOwner {
    pub(crate) ids: Ids,
    /// Whether the group may make files in the directory.
    pub(crate) is_shared: bool,
}
