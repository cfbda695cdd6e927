//! Everything that depends on the operating system: files and programs, environments, child processes and processes of
//! other parents, signals, and the host's stderr.
//!
//! `unix` and `windows` have the same functions and types. `system` is the part of `unix` for which each Unix has its own
//! way: Linux, macOS, and a substitute that does less on others.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod native_format;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "macos"))))]
mod other;
mod signal;
#[cfg(unix)]
mod system;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub(crate) use self::native_format::{NATIVE_FORMAT, NativeFormat};
pub use self::signal::Signal;
#[cfg(windows)]
pub(crate) use self::windows::{
    AsStderr, FileTime, LastWill, PidHandle, ProcessTree, SocketFileId, VariableName, argument_zero,
    collect_exit_statuses, describe_status, executable_at, executable_file, host_variable,
    is_always_inherited, is_busy, is_command_file, is_socket, is_unknown_format, lead_group, listening_pid,
    name_without_extension, notes_on_access, open_without_waiting, signal_of, sockets_in, spawn, stopped_by,
    with_extension, write_without_waiting,
};
#[cfg(unix)]
pub(crate) use self::{
    system::PidHandle,
    unix::{
        AsStderr, FileTime, LastWill, ProcessTree, SocketFileId, VariableName, argument_zero,
        collect_exit_statuses, describe_status, executable_at, executable_file, host_variable,
        is_always_inherited, is_busy, is_command_file, is_socket, is_unknown_format, lead_group,
        listening_pid, name_without_extension, notes_on_access, open_without_waiting, signal_of, sockets_in,
        spawn, stopped_by, with_extension, write_without_waiting,
    },
};
