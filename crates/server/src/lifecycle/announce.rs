//! The second step: the handshake line.

use std::{fmt, io::Write};

use super::bind::Bound;
use crate::error::ServeError;

/// A plugin whose handshake line has been printed.
#[must_use = "an announced plugin has to serve"]
pub struct Announced {
    pub(super) bound: Bound,
}

impl Bound {
    /// Prints the handshake line and flushes it.
    ///
    /// If the host has exited since [`Serve::bind`](crate::Serve::bind) began, the write fails. If another process holds the
    /// pipe too, the plugin detects the exit once it serves.
    ///
    /// # Errors
    /// [`ServeError::Announce`] when the line cannot be written.
    pub fn announce(mut self, to: &mut impl Write) -> Result<Announced, ServeError> {
        let span = self.span.clone();
        let _entered = span.enter();
        let _greet = tracing::debug_span!("greet", endpoint = %self.handshake_line.endpoint).entered();
        self.watch_shutdown_file();
        // One write: if this process dies, a host that reads byte by byte must not have read half a line.
        to.write_all(format!("{}\n", self.handshake_line).as_bytes())
            .and_then(|()| to.flush())
            .map_err(ServeError::Announce)?;
        Ok(Announced { bound: self })
    }
}

impl fmt::Debug for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announced")
            .field("handshake_line", &self.bound.handshake_line)
            .finish_non_exhaustive()
    }
}
