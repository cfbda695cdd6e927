//! Windows.

mod console;
mod environment;
mod exit_status;
mod exit_wait;
mod file;
mod final_path;
mod handles;
mod job;
mod listeners;
mod output;
mod pid_handle;
mod process;
mod process_tree;
mod program;
pub(super) mod signals;
mod socket_files;
mod stderr;
mod threads;

pub(crate) use std::os::windows::io::AsHandle as AsStderr;

pub(crate) use self::{
    environment::{VariableName, host_variable, is_always_inherited},
    exit_status::{describe_status, signal_of},
    file::{FileTime, executable_file, is_socket, notes_on_access, open_without_waiting},
    pid_handle::{PidHandle, listening_pid},
    process::{
        argument_zero, collect_exit_statuses, is_busy, is_unknown_format, lead_group, spawn, stopped_by,
    },
    process_tree::{LastWill, ProcessTree},
    program::{executable_at, is_command_file, name_without_extension, with_extension},
    socket_files::{SocketFileId, sockets_in},
    stderr::write_without_waiting,
};
