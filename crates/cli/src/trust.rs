//! The lock file: which plugins may be launched, with which contents, and what each may do.

mod digest;
mod error;
mod file;
mod permit;
mod text;

pub(crate) use self::{
    digest::digest,
    error::{LockFileError, Refusal},
    file::{Entry, LockFile},
    permit::{Permit, changed, refuse_interpreter},
};

/// The name of a lock file that is not named otherwise.
pub(crate) const LOCK_FILE: &str = "rpcplugin.lock";
