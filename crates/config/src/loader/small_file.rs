//! Files that are small enough to be a configuration.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The text of a file that is small enough to be a configuration.
pub(super) fn read_file(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for somebody to write to it.
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
    }
    Ok(text)
}

/// More than any bundle of certificates.
const LARGEST_FILE: u64 = 4 << 20;
