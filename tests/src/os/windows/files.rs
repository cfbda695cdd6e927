//! Permissions of files. Windows has access lists in their place.

use std::{io, path::Path};

use super::unsupported;

/// Fails: files have no permission bits.
pub(crate) fn mode(_: &Path) -> io::Result<u32> {
    Err(unsupported("Windows has no permission bits"))
}

/// The transport that a plugin of the kit uses by default.
pub(crate) const DEFAULT_TRANSPORT: &str = "tcp";
