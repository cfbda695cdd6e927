//! Permissions of files.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

/// Returns the permission bits of a file.
pub(crate) fn mode(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode())
}

/// The transport that a plugin of the kit uses by default.
pub(crate) const DEFAULT_TRANSPORT: &str = "unix";
