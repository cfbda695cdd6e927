//! The lock file: which plugins may be launched, with which contents, and what each may do.

mod digest;
mod entry;
mod error;
mod file;
mod permit;
mod text;

pub(crate) use self::{
    digest::digest,
    entry::Entry,
    error::{LockFileError, Refusal},
    file::LockFile,
    permit::{Permit, changed, refuse_interpreter},
};

/// The name of a lock file that is not named otherwise.
pub(crate) const LOCK_FILE: &str = "rpcplugin.lock";
