//! Stdout before the handshake line.

use std::{
    fs::File,
    io::{self, Write as _},
};

use crate::os;

/// Keeps stdout free for the handshake line: while this lives, what the program prints on stdout goes to stderr, where
/// hosts expect text. Dropping it restores stdout.
#[derive(Debug)]
pub(crate) struct RedirectedStdout {
    original: File,
}

impl RedirectedStdout {
    /// Redirects stdout from now on. Text that was printed earlier without a line break is still in the buffer, and goes to
    /// stderr too.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub(crate) fn begin() -> io::Result<Self> {
        let this = Self { original: os::clone_stdout()? };
        os::replace_stdout(&os::clone_stderr()?)?;
        let _ = io::stdout().flush();
        Ok(this)
    }

    /// The original stdout, for the handshake line.
    pub(crate) fn original(&self) -> &File {
        &self.original
    }
}

impl Drop for RedirectedStdout {
    fn drop(&mut self) {
        let _ = io::stdout().flush();
        // This does not fail for descriptors that are open.
        let _ = os::replace_stdout(&self.original);
    }
}
