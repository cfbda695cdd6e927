//! Paths of the operating system.

use std::path::Path;

/// The path in a value that begins with `file://`. On Windows `file:///C:/x` stands for `C:/x`.
pub(crate) fn path_of_file_url(path: &str) -> &Path {
    match path.strip_prefix('/') {
        Some(drive) if cfg!(windows) && drive.as_bytes().get(1) == Some(&b':') => Path::new(drive),
        _ => Path::new(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_with_its_drive_on_windows() {
        let drive = if cfg!(windows) { "C:/x" } else { "/C:/x" };
        for (path, expected) in [("/C:/x", drive), ("/etc/x", "/etc/x"), ("C:\\x", "C:\\x"), ("/", "/")] {
            assert_eq!(path_of_file_url(path), Path::new(expected));
        }
    }
}
