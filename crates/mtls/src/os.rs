//! Paths of the operating system.

use std::path::Path;

/// The path in a setting that begins with `file://`. On Windows `file:///C:/x` stands for `C:/x`.
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
    fn a_drive_of_windows_has_no_slash_before_it() {
        let drive = if cfg!(windows) { "C:/x" } else { "/C:/x" };
        assert_eq!(path_of_file_url("/C:/x"), Path::new(drive));
        assert_eq!(path_of_file_url("/x"), Path::new("/x"));
    }
}
