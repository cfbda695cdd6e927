//! Locks, and files that other processes read.

use std::{
    fs::{File, OpenOptions},
    io,
    os::windows::fs::OpenOptionsExt as _,
    path::Path,
};

/// Keeps a directory locked until it is dropped.
#[derive(Debug)]
pub(crate) struct LockedDirectory {
    _file: File,
}

/// Locks a directory against other processes of this program, by a file in it that the system removes. `None` if another process has
/// it locked.
pub(crate) fn lock_directory(dir: &Path) -> io::Result<Option<LockedDirectory>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).share_mode(0).custom_flags(DELETE_ON_CLOSE);
    match options.open(dir.join(".rpcplugin-lock")) {
        Ok(file) => Ok(Some(LockedDirectory { _file: file })),
        Err(error) if [Some(SHARING_VIOLATION), Some(DELETE_PENDING)].contains(&error.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Opens a file for reading.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Does nothing: a file inherits the access list of its directory.
pub(crate) fn readable_by_all<'b, 'p, 's>(
    builder: &'b mut tempfile::Builder<'p, 's>,
) -> &'b mut tempfile::Builder<'p, 's> {
    builder
}

/// `FILE_FLAG_DELETE_ON_CLOSE`.
const DELETE_ON_CLOSE: u32 = 0x0400_0000;

/// `ERROR_SHARING_VIOLATION`: another process has the file open.
const SHARING_VIOLATION: i32 = 32;

/// `ERROR_DELETE_PENDING`: another process has just closed the file.
const DELETE_PENDING: i32 = 303;
