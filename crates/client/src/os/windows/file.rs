//! Files: times, attributes, and the file that is executed.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::windows::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_ENCRYPTED, FILE_ATTRIBUTE_HIDDEN, FILE_ATTRIBUTE_OFFLINE, FILE_ATTRIBUTE_READONLY,
    FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_SYSTEM,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_SHARE_READ,
};

use super::{final_path::final_path, program::is_exe};

/// The time at which a file was last changed, by the clock of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileTime(u64);

impl FileTime {
    pub(crate) fn of(file: &Metadata) -> Self {
        Self(file.last_write_time())
    }
}

/// Whether this is the file of a Unix socket. A plugin on Windows listens on TCP.
pub(crate) fn is_socket(_: &Metadata) -> bool {
    false
}

/// Opens a file for reading. Until it is closed, it can be neither written nor renamed nor removed. Fails if another
/// process has it open for writing. A directory is opened too, so that the caller can refuse it by its kind.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .share_mode(FILE_SHARE_READ)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)
}

/// The path of the open file without links in it. As long as the file is open, the path leads to it, because neither the
/// file nor its directories can be renamed.
///
/// Fails for a file other than an `.exe`: the standard library looks for an `.exe` beside it first, and a command file is
/// read by its interpreter long after it was started.
pub(crate) fn executable_file(_: PathBuf, file: &mut File) -> io::Result<PathBuf> {
    let path = final_path(file)?;
    if is_exe(&path) {
        Ok(path)
    } else {
        let text = "only a program with the extension .exe can be started with a checksum on Windows";
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

/// Lines on the size of a file and on its attributes, as far as they can matter to a program.
pub(crate) fn notes_on_access(file: &Metadata) -> [String; 2] {
    let set = ATTRIBUTES.iter().filter(|(bit, _)| file.file_attributes() & bit != 0);
    let names: Vec<_> = set.map(|(_, name)| *name).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    [format!("size: {} bytes", file.file_size()), format!("attributes: {names}")]
}

const ATTRIBUTES: [(u32, &str); 7] = [
    (FILE_ATTRIBUTE_READONLY, "read-only"),
    (FILE_ATTRIBUTE_HIDDEN, "hidden"),
    (FILE_ATTRIBUTE_SYSTEM, "system"),
    (FILE_ATTRIBUTE_REPARSE_POINT, "link"),
    (FILE_ATTRIBUTE_OFFLINE, "offline"),
    (FILE_ATTRIBUTE_ENCRYPTED, "encrypted"),
    (FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS, "not on this machine"),
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_being_verified_cannot_be_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("plugin.exe");
        fs::write(&path, "MZ").expect("writable");
        let mut file = open_without_waiting(&path).expect("there");
        assert!(fs::write(&path, "other").is_err());
        assert!(fs::rename(&path, dir.path().join("moved.exe")).is_err());
        assert!(fs::remove_file(&path).is_err());
        let executed = executable_file(path.clone(), &mut file).expect("an .exe");
        assert!(executed.is_absolute() && is_exe(&executed), "{}", executed.display());
        assert_eq!(fs::read(executed).expect("readable"), b"MZ");
        drop(file);
        fs::write(&path, "other").expect("writable again");
    }

    #[test]
    fn only_an_exe_has_a_checksum() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("plugin.cmd");
        fs::write(&path, "exit").expect("writable");
        let mut file = open_without_waiting(&path).expect("there");
        let error = executable_file(path, &mut file).expect_err("a command file");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn the_size_of_a_file_is_noted() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "four").expect("writable");
        let [size, attributes] = notes_on_access(&fs::metadata(file.path()).expect("it exists"));
        assert_eq!((size.as_str(), attributes.as_str()), ("size: 4 bytes", "attributes: none"));
    }
}
