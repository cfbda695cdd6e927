//! Paths of the operating system.

use std::path::Path;

/// The path in a setting that begins with `file://`. On Windows `file:///C:/x` stands for `C:/x`.
pub(crate) fn path_of_file_url(path: &str) -> &Path {
    match path.strip_prefix('/') {
        Some(drive) if cfg!(windows) && drive.as_bytes().get(1) == Some(&b':') => Path::new(drive),
        _ => Path::new(path),
    }
}
