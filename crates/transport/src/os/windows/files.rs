//! Owners, permissions and identities of files.

use std::{
    ffi::OsStr,
    fs::{File, Metadata, OpenOptions},
    io,
    os::windows::fs::OpenOptionsExt as _,
    path::Path,
};

use super::no_unix_sockets;

/// The identity of a file. Only files of sockets have an identity here, and no such file exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileId {}

/// Keeps a directory until the last handle of this kind is closed: by a drop, or when the process ends, in any way.
/// Then the system removes the directory if it is empty.
#[derive(Debug)]
pub(crate) struct DirGuard {
    _handle: File,
}

/// The file of a socket that this process has bound. There is no value of it on Windows.
#[derive(Debug)]
pub(crate) enum BoundFile {}

impl DirGuard {
    /// Guards a directory that this process has made.
    pub(crate) fn over(dir: &Path) -> io::Result<Self> {
        let handle = OpenOptions::new()
            .access_mode(DELETE)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_DELETE_ON_CLOSE)
            .open(dir)?;
        Ok(Self { _handle: handle })
    }
}

impl BoundFile {
    pub(crate) fn find(_: &Path) -> io::Result<Self> {
        Err(no_unix_sockets())
    }

    pub(crate) fn discard(_: &Path) {}

    pub(crate) fn id(&self) -> FileId {
        match *self {}
    }

    pub(crate) fn give_to(&self, _: u32, _: u32) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn allow(&self, _: u32) -> io::Result<()> {
        match *self {}
    }
}

/// Makes a directory below `parent` under a fresh name. The temporary directory of a user is closed to other users.
pub(crate) fn make_private_dir(parent: &Path, prefix: &str) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix(prefix).tempdir_in(parent)
}

pub(crate) fn id(_: &Path) -> io::Result<FileId> {
    Err(no_unix_sockets())
}

/// Whether the file belongs to the user of this process. Unknown, and so it does not.
pub(crate) fn is_own(_: &Metadata) -> bool {
    false
}

pub(crate) fn is_socket(_: &Metadata) -> bool {
    false
}

/// Whether every user can replace the files in a directory. Unknown: the access list of the directory is not read.
pub(crate) fn is_open(_: &Metadata) -> bool {
    false
}

/// The bytes of a file's name or path, to be compared.
pub(crate) fn bytes(name: &(impl AsRef<OsStr> + ?Sized)) -> &[u8] {
    name.as_ref().as_encoded_bytes()
}

/// Fails: a directory has no group.
pub(crate) fn share_dir(_: &Path, _: u32) -> io::Result<()> {
    Err(no_unix_sockets())
}

/// Fails: links need a privilege.
pub(crate) fn symlink(_: impl AsRef<Path>, _: impl AsRef<Path>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Access, sharing and flags of `CreateFileW`.
const DELETE: u32 = 0x0001_0000;
const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;
const FILE_SHARE_DELETE: u32 = 4;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
