//! Everything that depends on the operating system: descriptors, files, groups, processes, sockets, and the exit of the
//! process.
//!
//! `unix` and `windows` have the same modules with the same functions, and so have `linux` and `other`. Windows has no Unix sockets here: each function
//! for one fails with [`Unsupported`](std::io::ErrorKind::Unsupported), and a listener listens on TCP.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(crate) use self::linux::passing;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::other::passing;
#[cfg(unix)]
pub(crate) use self::unix::{descriptors, exit, files, groups, processes, sockets};
#[cfg(unix)]
pub use self::unix::{descriptors::async_fd, processes::start_time};
#[cfg(windows)]
pub use self::windows::processes::start_time;
#[cfg(windows)]
pub(crate) use self::windows::{descriptors, exit, files, groups, processes, sockets};
