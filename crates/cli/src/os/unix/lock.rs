//! Locks, and files that other processes read.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

/// Keeps a directory locked until it is dropped.
#[derive(Debug)]
pub(crate) struct LockedDirectory {
    _file: File,
}

/// Locks a directory against other processes of this program. `None` if another process has it locked.
pub(crate) fn lock_directory(dir: &Path) -> io::Result<Option<LockedDirectory>> {
    let file = File::open(dir)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(LockedDirectory { _file: file })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens a file for reading. A pipe without a writer does not block.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// Lets every user read the files that this makes, as far as the umask allows it.
pub(crate) fn readable_by_all<'b, 'p, 's>(
    builder: &'b mut tempfile::Builder<'p, 's>,
) -> &'b mut tempfile::Builder<'p, 's> {
    builder.permissions(Permissions::from_mode(0o644))
}
