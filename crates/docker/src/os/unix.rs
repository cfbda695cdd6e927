//! Unix: sockets as files, users and groups by number.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use rustix::process::{Resource, getrlimit};
use tokio::net::UnixStream;

use super::{DirOwner, Ids, ProcessLimit};

/// Connects to the socket of an engine.
pub(crate) async fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

/// The user and the group of this process.
pub(crate) fn own_ids() -> Option<Ids> {
    Some(Ids { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() })
}

/// The limits of this process on open files and on processes of its user, as far as engines set them.
pub(crate) fn own_limits() -> Vec<ProcessLimit> {
    let limit = |name, resource, most| {
        let limit = getrlimit(resource);
        let lower = |value: Option<u64>| value.unwrap_or(most).min(most);
        ProcessLimit { name, soft: lower(limit.current), hard: lower(limit.maximum) }
    };
    // Podman lowers its own limit to the number of processes that the system allows.
    let processes = super::most_processes().unwrap_or(MOST).min(MOST);
    vec![limit("nofile", Resource::Nofile, MOST), limit("nproc", Resource::Nproc, processes)]
}

/// The owner of a directory.
pub(crate) fn owner(dir: &Path) -> io::Result<Option<DirOwner>> {
    let found = fs::metadata(dir)?;
    Ok(Some(DirOwner {
        ids: Ids { uid: found.uid(), gid: found.gid() },
        is_shared: found.mode() & GROUP == GROUP,
    }))
}

/// The largest limit that Podman sets by itself.
const MOST: u64 = 1 << 20;

/// The permissions of a group that may make files.
const GROUP: u32 = 0o030;
