//! Windows.

mod anonymous_pipe;
pub(crate) mod listening;
pub(crate) mod output;
pub(crate) mod parent;
pub(crate) mod pipes;
mod process;
pub(crate) mod shell;
pub(crate) mod signals;
pub(crate) mod standard_streams;
