//! Everything that depends on the operating system.
//!
//! `signal`, `process`, `file` and `stderr` work on every Unix. `system` is what only Linux offers, with a substitute
//! that does less elsewhere.

mod file;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
mod process;
mod raw_pid;
mod signal;
mod stderr;
mod system;

pub use self::signal::Signal;
pub(crate) use self::{
    file::{
        FileTime, NATIVE_FORMAT, NativeFormat, executable_file, is_executable, is_socket, notes_on_access,
        open_without_waiting,
    },
    process::{
        ExitWatch, Group, argument_zero, collect_exit_statuses, is_not_permitted, is_unknown_format,
        lead_group, signal_of, signal_process, spawn_leader, stopped_by,
    },
    stderr::write_without_waiting,
    system::{PidHandle, listening_pid, listens},
};
pub(crate) use std::os::fd::AsFd;
