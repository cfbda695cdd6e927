//! Where the workspace is, and what a command may answer.

use std::error::Error;
use std::path::{Path, PathBuf};

/// What every command and step ends with.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The directory that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory of the workspace").to_owned()
}
