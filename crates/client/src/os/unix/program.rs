//! Which files are programs. Names have no extensions that would matter.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// The program at this path, if the path is that of a regular file that some user may execute.
pub(crate) fn executable_at(path: PathBuf) -> Option<PathBuf> {
    let is_executable = |file: std::fs::Metadata| file.is_file() && file.permissions().mode() & 0o111 != 0;
    path.metadata().is_ok_and(is_executable).then_some(path)
}

/// The path with the extension of the program that it stands for: the path itself.
pub(crate) fn with_extension(path: PathBuf) -> PathBuf {
    path
}

/// The name of a program's file without the extension that all programs have. `None` if it has no such extension.
pub(crate) fn name_without_extension(_: &str) -> Option<&str> {
    None
}

/// Whether the system runs such a file by its extension, whatever is in it.
pub(crate) fn is_command_file(_: &Path) -> bool {
    false
}
