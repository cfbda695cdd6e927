//! The directory for all sockets of a tap and of its plugin.

use std::{
    io,
    path::{Path, PathBuf},
};

use rpcplugin::Endpoint;
use tempfile::TempDir;

use crate::os::short_private_dir;

/// Makes the private directory. Its name is short: an address in it must not be longer than the address in whose place it is announced.
///
/// It is made in the host's directory for sockets, which the host removes, or in that for temporary files.
pub(super) fn private_dir(of_host: Option<&Path>) -> io::Result<TempDir> {
    let parents = [of_host.map(Path::to_owned), Some(std::env::temp_dir()), Some(PathBuf::from("/tmp"))];
    let mut last = io::ErrorKind::NotFound.into();
    for parent in parents.into_iter().flatten() {
        let made = std::path::absolute(&parent).and_then(|parent| short_private_dir(&parent));
        match made {
            Ok(dir) if fits(dir.path()) => return Ok(dir),
            Ok(_) => last = io::Error::other("the paths of sockets would be too long"),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether the socket of a plugin fits into a directory.
fn fits(dir: &Path) -> bool {
    let longest = dir.join("plugin0123456789");
    longest.to_str().is_some_and(|path| Endpoint::parse("unix", path).is_ok())
}
