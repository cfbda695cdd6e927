//! Systems whose kernel shows neither the memory of containers nor open files as paths.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A socket that was no link when it was looked at.
#[derive(Debug)]
pub(crate) struct HeldSocket(PathBuf);

impl HeldSocket {
    /// Looks at the last part of the path. A plugin that is quick can replace the socket after this.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?.file_type();
        if found.is_symlink() || found.is_file() || found.is_dir() {
            return Err(super::not_a_socket());
        }
        Ok(Self(path.to_owned()))
    }

    /// The path.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.clone()
    }
}

/// The number is not known.
#[cfg_attr(windows, expect(dead_code, reason = "no limits are set on Windows"))]
pub(crate) fn most_processes() -> Option<u64> {
    None
}

/// Nothing is counted.
#[derive(Debug)]
pub(crate) struct OutOfMemoryCounter;

impl OutOfMemoryCounter {
    /// Nothing is counted.
    pub(crate) fn of(_: u32) -> Option<Self> {
        None
    }

    /// Nothing is counted.
    pub(crate) fn has_killed(&self) -> bool {
        false
    }
}
