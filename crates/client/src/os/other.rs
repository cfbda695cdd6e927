//! Substitutes for Unix systems other than Linux and macOS. Without pidfds and `/proc`, a process of another parent cannot be identified
//! for certain, and is therefore never signalled.

use std::{
    fs::File,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use rpcplugin_core::{Endpoint, Pid};

use super::signal::Signal;

/// A process that cannot be confused with another. There is no value of it on this system.
#[derive(Debug)]
pub(crate) enum PidHandle {}

impl PidHandle {
    pub(crate) fn open(_: Pid) -> Option<Self> {
        None
    }

    pub(crate) async fn of_listener(_: Pid, _: &Endpoint, _: Duration) -> Option<Self> {
        None
    }

    pub(crate) async fn exited(&self) {
        match *self {}
    }

    pub(crate) fn signal(&self, _: Signal) -> io::Result<()> {
        match *self {}
    }
}

/// tokio handles SIGCHLD by itself on this system.
pub(super) fn ignores(_: i32) -> bool {
    false
}

pub(super) fn path_of_open_file(path: PathBuf, _: &mut File) -> io::Result<PathBuf> {
    Ok(path)
}

pub(super) fn reopened_for_writing(_: BorrowedFd<'_>) -> Option<OwnedFd> {
    None
}
