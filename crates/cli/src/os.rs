//! Everything that depends on the operating system. The rest of the program compiles unchanged on each.

mod file;
mod interrupt;
mod process;
mod socket;
mod terminal;

pub(crate) use self::{
    file::{
        FileId, Ownership, is_executable_by_this_user, is_link_loop, mode, own_group, set_mode, special_kind,
    },
    interrupt::Interruptions,
    process::{ProcessGroup, StopSignal, executable, is_alive},
    socket::{LONGEST_SOCKET_PATH, is_abstract},
    terminal::columns,
};
