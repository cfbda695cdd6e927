//! The parts for this system: those of Linux, or their substitutes.

#[cfg(target_os = "linux")]
pub(crate) use super::linux::{PidHandle, listening_pid, listens};
#[cfg(target_os = "linux")]
pub(super) use super::linux::{ignores, path_of_open_file, reopened_for_writing};
#[cfg(not(target_os = "linux"))]
pub(crate) use super::other::{PidHandle, listening_pid, listens};
#[cfg(not(target_os = "linux"))]
pub(super) use super::other::{ignores, path_of_open_file, reopened_for_writing};
