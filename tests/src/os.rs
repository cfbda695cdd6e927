//! Processes, signals and measurements, as this system has them.
//!
//! `unix` and `windows` have the same functions. A function that Windows has nothing for fails with
//! [`Unsupported`](std::io::ErrorKind::Unsupported).

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use self::unix::{cores, files, processes::*, table, usage};
#[cfg(unix)]
pub use self::unix::{
    programs::{
        become_sleeper, in_own_group, join_group_of_parent, original_stderr, silence_stdout, sleeper,
    },
    termination::Termination,
};
#[cfg(windows)]
pub(crate) use self::windows::{cores, files, processes::*, usage};
#[cfg(windows)]
pub use self::windows::{
    programs::{
        become_sleeper, in_own_group, join_group_of_parent, original_stderr, silence_stdout, sleeper,
    },
    termination::Termination,
};
