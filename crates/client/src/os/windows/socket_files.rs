//! The socket files of a folder: this library has no Unix sockets on Windows.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The identity of a socket file. There is no value of it on Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketFileId {}

pub(crate) fn sockets_in(_: &Path) -> io::Result<Vec<(PathBuf, SocketFileId)>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "plugins listen on TCP on Windows, not on Unix sockets"))
}
