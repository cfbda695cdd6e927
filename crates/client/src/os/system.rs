//! The parts for this Unix: those of Linux or macOS, or their substitutes.

#[cfg(target_os = "linux")]
pub(crate) use super::linux::PidHandle;
#[cfg(target_os = "linux")]
pub(super) use super::linux::{ignores, path_of_open_file, reopened_for_writing};
#[cfg(target_os = "macos")]
pub(crate) use super::macos::PidHandle;
#[cfg(target_os = "macos")]
pub(super) use super::macos::{ignores, path_of_open_file, reopened_for_writing};
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) use super::other::PidHandle;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) use super::other::{ignores, path_of_open_file, reopened_for_writing};
