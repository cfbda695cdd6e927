//! What comes from a plugin: the handshake line, its stdout and stderr, and the long-lived streams of the connection.

pub(crate) mod background;
pub(crate) mod handshake_line;
mod reopen;
pub(crate) mod stderr_log;
pub(crate) mod stderr_tail;
mod stdio;
pub(crate) mod stdout_drain;
