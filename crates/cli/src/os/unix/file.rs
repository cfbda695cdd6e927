//! Modes and owners of files.

use std::{
    fs::{self, File, FileType, Metadata, Permissions},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{
    fs::{Access as Wanted, access},
    io::Errno,
    process::{getegid, getuid},
};
use tempfile::TempDir;

/// The permission bits of a file, the special ones included, with its user and its group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The identity of a file: two paths with the same one lead to the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl Access {
    /// Returns the access to a file. `None` on a system without permission bits.
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        Some(Self { mode: metadata.mode() & 0o7777, uid: metadata.uid(), gid: metadata.gid() })
    }

    /// Whether the file belongs to the user who runs this program.
    pub(crate) fn is_own(self) -> bool {
        self.uid == getuid().as_raw()
    }
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Whether a regular file can be started by some user.
pub(crate) fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
}

/// Opens a file for appending. Makes it, if it does not exist, so that only this user can read it.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).mode(0o600).open(path)
}

/// Makes a directory with a short name that only this user may enter.
pub(crate) fn short_private_dir(parent: &Path) -> io::Result<TempDir> {
    let private = Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("").rand_bytes(5).permissions(private).tempdir_in(parent)
}

/// Sets the permission bits of a file.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Whether this user may execute a file, or enter a directory.
pub(crate) fn is_executable_by_this_user(path: &Path) -> bool {
    access(path, Wanted::EXEC_OK).is_ok()
}

/// Returns what a file is that is neither a regular file nor a directory.
pub(crate) fn special_kind(file_type: FileType) -> &'static str {
    if file_type.is_socket() {
        "a socket"
    } else if file_type.is_fifo() {
        "a pipe"
    } else {
        "a device"
    }
}

/// Whether a path could not be followed because its links form a loop.
pub(crate) fn is_link_loop(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// Returns the group of this process. `None` on a system without groups of files.
pub(crate) fn own_group() -> Option<u32> {
    Some(getegid().as_raw())
}

/// The variables that set the temporary directory of a program.
pub(crate) const TEMPORARY_DIRECTORY: &[&str] = &["TMPDIR"];
