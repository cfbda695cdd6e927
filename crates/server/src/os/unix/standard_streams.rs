//! File descriptors 1 and 2.

use std::{fs::File, io};

use rustix::stdio;

/// Returns a duplicate of the descriptor that is stdout now.
pub(crate) fn clone_stdout() -> io::Result<File> {
    Ok(stdio::stdout().try_clone_to_owned()?.into())
}

/// Returns a duplicate of the descriptor that is stderr now.
pub(crate) fn clone_stderr() -> io::Result<File> {
    Ok(stdio::stderr().try_clone_to_owned()?.into())
}

/// Makes descriptor 1 a duplicate of `file`.
pub(crate) fn replace_stdout(file: &File) -> io::Result<()> {
    Ok(stdio::dup2_stdout(file)?)
}

/// Makes descriptor 2 a duplicate of `file`.
pub(crate) fn replace_stderr(file: &File) -> io::Result<()> {
    Ok(stdio::dup2_stderr(file)?)
}
