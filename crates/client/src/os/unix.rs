//! Unix: Linux, macOS and the BSDs.

mod environment;
mod exit_watch;
mod file;
mod group;
mod listening_pid;
mod process;
mod process_tree;
mod program;
mod raw_pid;
pub(super) mod signals;
mod socket_files;
mod stderr;
mod watchdog;

pub(crate) use std::os::fd::AsFd as AsStderr;

pub(super) use self::raw_pid::raw;
pub(crate) use self::{
    environment::{VariableName, host_variable, is_always_inherited},
    file::{FileTime, executable_file, is_socket, notes_on_access, open_without_waiting},
    listening_pid::listening_pid,
    process::{
        argument_zero, collect_exit_statuses, describe_status, is_busy, is_unknown_format, lead_group,
        signal_of, spawn, stopped_by,
    },
    process_tree::ProcessTree,
    program::{executable_at, is_command_file, name_without_extension, with_extension},
    socket_files::{SocketFileId, sockets_in},
    stderr::write_without_waiting,
    watchdog::LastWill,
};
