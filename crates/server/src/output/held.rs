//! Standard output before the handshake line.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::stdio;

/// Standard output kept free for the handshake line: what anybody else prints as long as this lives goes to standard
/// error, where hosts expect text. Dropping it puts the real one back.
#[derive(Debug)]
pub(crate) struct HeldStdout(OwnedFd);

impl HeldStdout {
    /// Holds it from now on. What was printed before without a line break has not gone out yet, and goes to standard
    /// error too.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub(crate) fn hold() -> io::Result<Self> {
        let this = Self(io::stdout().as_fd().try_clone_to_owned()?);
        stdio::dup2_stdout(io::stderr())?;
        let _ = io::stdout().flush();
        Ok(this)
    }

    /// The real one, to write the line to.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub(crate) fn real(&self) -> io::Result<File> {
        self.0.try_clone().map(File::from)
    }
}

impl Drop for HeldStdout {
    fn drop(&mut self) {
        let _ = io::stdout().flush();
        // This cannot fail for descriptors that are open.
        let _ = stdio::dup2_stdout(&self.0);
    }
}
