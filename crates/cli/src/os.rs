//! Everything that depends on the operating system. The rest of the program compiles unchanged on each.
//!
//! `unix` and `windows` have the same modules with the same functions. A function that Windows has nothing for fails with
//! [`Unsupported`](std::io::ErrorKind::Unsupported), or returns `None`.

#[cfg(feature = "ui")]
mod key;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(feature = "ui")]
pub(crate) use self::key::Key;
#[cfg(unix)]
pub(crate) use self::unix::{
    descriptors::*, file::*, host::HostExit, interrupt::Interruptions, lock::*, process::*, signals::*,
    socket::*, terminal::columns,
};
#[cfg(all(unix, feature = "ui"))]
pub(crate) use self::unix::{job_control::*, keys::*, raw_mode::*, usage::*};
#[cfg(windows)]
pub(crate) use self::windows::{
    bridge::*, file::*, interrupt::Interruptions, lock::*, process::*, socket::*, terminal::columns,
};
#[cfg(all(windows, feature = "ui"))]
pub(crate) use self::windows::{job_control::*, keys::*, raw_mode::*, usage::*};
