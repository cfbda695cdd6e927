//! Unix: sockets as files, users and groups by number.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use tokio::net::UnixStream;

use super::{DirOwner, Ids};

/// Connects to the socket of an engine.
pub(crate) async fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

/// The user and the group of this process.
pub(crate) fn own_ids() -> Option<Ids> {
    Some(Ids { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() })
}

/// The owner of a directory.
pub(crate) fn owner(dir: &Path) -> io::Result<Option<DirOwner>> {
    let found = fs::metadata(dir)?;
    Ok(Some(DirOwner {
        ids: Ids { uid: found.uid(), gid: found.gid() },
        is_shared: found.mode() & GROUP == GROUP,
    }))
}

/// The permissions of a group that may make files.
const GROUP: u32 = 0o030;
