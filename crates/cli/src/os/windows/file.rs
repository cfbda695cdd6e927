//! Files. Access lists decide about access, and no file has permission bits.

use std::{
    env,
    fs::{File, FileType, Metadata},
    io,
    os::windows::fs::MetadataExt as _,
    path::Path,
};

use tempfile::TempDir;

/// The permission bits of a file with its user and its group. There is no value of it on Windows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    never: Never,
}

/// Has no value.
#[derive(Debug, Clone, Copy)]
enum Never {}

/// The identity of a file, as far as its metadata have one: when it was created, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    created: u64,
    size: u64,
}

impl Access {
    /// Returns `None`: a file has no permission bits.
    pub(crate) fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether the file belongs to the user who runs this program.
    pub(crate) fn is_own(self) -> bool {
        match self.never {}
    }
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { created: metadata.creation_time(), size: metadata.file_size() }
    }
}

/// Whether a regular file can be started: its extension is one of `PATHEXT`.
#[expect(clippy::disallowed_methods, reason = "the system looks there which files are programs")]
pub(crate) fn is_program(path: &Path) -> bool {
    let Some(extension) = path.extension().and_then(|extension| extension.to_str()) else { return false };
    let known = env::var("PATHEXT").unwrap_or_else(|_| ".COM;.EXE;.BAT;.CMD".to_owned());
    let mut known = known.split(';').map(|known| known.trim_start_matches('.'));
    known.any(|known| known.eq_ignore_ascii_case(extension)) && path.is_file()
}

/// Opens a file for appending. A new file has the access list of its directory.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

/// Makes a directory with a short name. It has the access list of its parent.
pub(crate) fn short_private_dir(parent: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("").rand_bytes(5).tempdir_in(parent)
}

/// Does nothing: a directory keeps the access list that it inherits.
pub(crate) fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

/// Whether this user may execute a file, or enter a directory. Unknown, and so it may: the start of the process says.
pub(crate) fn is_executable_by_this_user(_: &Path) -> bool {
    true
}

/// Returns what a file is that is neither a regular file nor a directory.
pub(crate) fn special_kind(_: FileType) -> &'static str {
    "a device"
}

/// Whether a path could not be followed because its links form a loop.
pub(crate) fn is_link_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_CANT_RESOLVE_FILENAME)
}

/// Returns `None`: files have no group.
pub(crate) fn own_group() -> Option<u32> {
    None
}

/// The variables that set the temporary directory of a program. Programs that were made for Unix read the last one.
pub(crate) const TEMPORARY_DIRECTORY: &[&str] = &["TMP", "TEMP", "TMPDIR"];

/// The name of a file could not be resolved: its links form a loop.
const ERROR_CANT_RESOLVE_FILENAME: i32 = 1921;
