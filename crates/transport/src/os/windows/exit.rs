//! A call when the process exits.

/// Does nothing: a process that exits calls nothing, and the system removes a directory of sockets when its last
/// handle is closed (see `files::DirGuard`).
pub(crate) fn call_at_exit(_: fn()) {}
