//! A console that passes each key on at once.

use std::io;

use crossterm::{ansi_support::supports_ansi, terminal};

/// Makes the console pass each key on, and understand the sequences of terminals.
///
/// # Errors
/// There is no console, or the console is too old.
pub(crate) fn enter_raw_mode() -> io::Result<()> {
    if !supports_ansi() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    terminal::enable_raw_mode()
}

/// Gives the console the modes back that it had before.
pub(crate) fn leave_raw_mode() {
    let _ = terminal::disable_raw_mode();
}
