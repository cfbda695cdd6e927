//! The digest of a program.

use std::{fs::File, io, io::Read as _, path::Path};

use sha2::{Digest as _, Sha256};

use super::Refusal;
use crate::os;

/// Returns the SHA-256 digest of a program's file in hexadecimal.
///
/// # Errors
/// [`Refusal::Unreadable`] if the path is not that of a regular file that this user may read.
pub(crate) fn digest(program: &Path) -> Result<String, Refusal> {
    let read = || {
        let mut file: File = os::open_without_waiting(program)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut digest = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => digest.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    };
    read().map_err(|error| Refusal::Unreadable { program: program.to_owned(), why: error.to_string() })
}

/// How many bytes are read at once.
const BUFFER: usize = 128 << 10;
