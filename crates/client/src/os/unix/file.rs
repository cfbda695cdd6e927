//! Files: permissions, times and kinds.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};
use rustix::fs::OFlags;

use crate::os::system;

/// The time at which a file was made or last changed, by the clock of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileTime {
    seconds: i64,
    nanoseconds: i64,
}

impl FileTime {
    pub(crate) fn of(file: &Metadata) -> Self {
        Self { seconds: file.ctime(), nanoseconds: file.ctime_nsec() }
    }

    /// The next moment that the clock can show.
    #[cfg(test)]
    pub(crate) fn next(self) -> Self {
        Self { nanoseconds: self.nanoseconds + 1, ..self }
    }
}

pub(crate) fn is_socket(file: &Metadata) -> bool {
    file.file_type().is_socket()
}

/// Opens a file for reading, and returns at once if the file is a pipe without a writer.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// The path by which exactly this open file is executed, where the system has such a path, and the file's own path
/// elsewhere. The file has to stay open until it is executed.
pub(crate) fn executable_file(path: PathBuf, file: &mut File) -> io::Result<PathBuf> {
    system::path_of_open_file(path, file)
}

/// Lines on the mode, the owner and the group of a file, and on the user and the group of this process.
pub(crate) fn notes_on_access(file: &Metadata) -> [String; 3] {
    [
        format!("mode: {}", mode(file)),
        format!("owner: {} (current: {})", user(Uid::from_raw(file.uid())), user(geteuid())),
        format!("group: {} (current: {})", group(Gid::from_raw(file.gid())), group(getegid())),
    ]
}

/// The mode as `ls -l` writes it: `-rwxr-xr-x`.
fn mode(file: &Metadata) -> String {
    let kind = match file.file_type() {
        kind if kind.is_dir() => 'd',
        kind if kind.is_fifo() => 'p',
        kind if kind.is_socket() => 's',
        kind if kind.is_char_device() => 'c',
        kind if kind.is_block_device() => 'b',
        _ => '-',
    };
    let bits = (0..9).rev().zip("rwxrwxrwx".chars());
    std::iter::once(kind).chain(bits.map(|(n, c)| if file.mode() >> n & 1 == 1 { c } else { '-' })).collect()
}

fn user(id: Uid) -> String {
    let name = User::from_uid(id).ok().flatten().map_or_else(|| "?".to_owned(), |user| user.name);
    format!("{id} [{name}]")
}

fn group(id: Gid) -> String {
    let name = Group::from_gid(id).ok().flatten().map_or_else(|| "?".to_owned(), |group| group.name);
    format!("{id} [{name}]")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn access_is_noted_as_ls_writes_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).expect("ours");
        let [mode, owner, _] = notes_on_access(&fs::metadata(file.path()).expect("it exists"));
        assert_eq!(mode, "mode: -rw-r-----");
        assert!(owner.contains(&format!("owner: {} [", geteuid())), "{owner}");
    }
}
