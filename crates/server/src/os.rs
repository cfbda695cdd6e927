//! Everything in this crate that depends on the operating system: descriptors, the parent process, signals.
//!
//! Plugins run on Unix. What only Linux has is replaced by other means on other systems.

mod descriptors;
mod parent;
mod signals;
mod standard_streams;

pub(crate) use descriptors::{
    PIPE_BUF, open_null, pipe, readable, reader_closed, reopen_nonblocking, writable,
};
pub(crate) use parent::Parent;
pub(crate) use signals::{ReceivedSignal, Signals};
pub(crate) use standard_streams::{clone_stderr, clone_stdout, replace_stderr, replace_stdout};
