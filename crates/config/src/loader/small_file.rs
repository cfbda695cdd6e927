//! Reads small files.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Reads a regular file of at most 4 MiB.
pub(super) fn read_file(path: &Path) -> io::Result<String> {
    // Opening a pipe would block until a writer opens it.
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
