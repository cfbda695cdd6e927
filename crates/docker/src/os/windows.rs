//! Windows: no Unix sockets, and no users by number.

use std::{io, path::Path};

use tokio::net::TcpStream;

use super::{DirOwner, Ids, ProcessLimit};

/// Fails: an engine is reached over TCP.
#[expect(clippy::unused_async, reason = "as on other systems")]
pub(crate) async fn connect(_: &Path) -> io::Result<TcpStream> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "there are no Unix sockets on Windows; use tcp://HOST:PORT",
    ))
}

/// There are no numbers.
pub(crate) fn own_ids() -> Option<Ids> {
    None
}

/// There are no such limits.
pub(crate) fn own_limits() -> Vec<ProcessLimit> {
    Vec::new()
}

/// There are no numbers.
pub(crate) fn owner(_: &Path) -> io::Result<Option<DirOwner>> {
    Ok(None)
}
