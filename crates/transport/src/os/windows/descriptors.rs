//! Handles. Windows has no limit for them that a process could reach with connections.

use std::io;

/// How many handles the process may have open: there is no limit.
pub(crate) fn limit() -> Option<u64> {
    None
}

/// Whether an operation failed because a socket, or memory for one, is missing.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(WSAEMFILE | WSAENOBUFS))
}

/// The process has too many sockets.
const WSAEMFILE: i32 = 10024;

/// The system has no memory for another socket.
const WSAENOBUFS: i32 = 10055;
