//! Everything in this crate that depends on the operating system: pipes, the standard streams, the parent process,
//! signals, and where a plugin listens.
//!
//! `unix` and `windows` have the same functions and types. Windows has no Unix sockets here, and a plugin listens on TCP.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;

pub(crate) use self::system::{
    listening::{DEFAULT_PORTS, HAS_UNIX_SOCKETS},
    output::{Output, PIPE_BUF},
    parent::{Parent, parent_pid},
    pipes::{is_ended, open_null, pipe, readable, reader_closed},
    shell::assignment,
    signals::{ReceivedSignal, Signals},
    standard_streams::{clone_stderr, clone_stdout, replace_stderr, replace_stdout},
};
