//! The width of a terminal.

use std::os::windows::io::AsHandle;

use terminal_size::{Width, terminal_size_of};

/// Returns the columns of a terminal. A file and a pipe have no limit.
pub(crate) fn columns(stream: &impl AsHandle) -> Option<usize> {
    terminal_size_of(stream).map(|(Width(columns), _)| usize::from(columns)).filter(|columns| *columns > 0)
}
