//! The metadata that a program has in its file.

use std::{
    io::{self, Read as _},
    path::Path,
};

use rpcplugin_core::{MetadataScanner, PluginMetadata};

use crate::os;

/// Reads the file up to its first valid block of metadata. `None` if the file has none.
pub(super) fn embedded_metadata(path: &Path) -> io::Result<Option<PluginMetadata>> {
    let mut file = os::open_without_waiting(path)?;
    // A device may have no end.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut scanner = MetadataScanner::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(None),
            Ok(length) => {
                if let Some(found) = scanner.push(&piece[..length]) {
                    return Ok(Some(found));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The number of bytes that are read at a time.
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use rpcplugin_core::semver::Version;

    use super::*;

    fn found_in(content: &[u8]) -> Option<String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), content).expect("writable");
        embedded_metadata(file.path()).expect("readable").map(|metadata| metadata.to_string())
    }

    #[test]
    fn a_block_is_found_at_any_place_of_a_file() {
        let metadata = PluginMetadata::builder("weather", Version::new(1, 2, 0)).finish().expect("valid");
        let block = metadata.to_block();
        for before in [0, 1, PIECE - 20, PIECE - 1, PIECE, 3 * PIECE + 7] {
            let content = [&vec![b'<'; before], block.as_bytes(), &[0; 100]].concat();
            assert_eq!(found_in(&content).as_deref(), Some("weather 1.2.0"), "{before}");
        }
        assert_eq!(found_in(&block.as_bytes()[..block.len() - 1]), None);
        assert_eq!(found_in(b""), None);
    }

    #[test]
    fn only_files_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(embedded_metadata(dir.path()).is_err());
        assert!(embedded_metadata(&dir.path().join("nowhere")).is_err());
        if cfg!(unix) {
            assert!(embedded_metadata(Path::new("/dev/zero")).is_err());
        }
    }
}
