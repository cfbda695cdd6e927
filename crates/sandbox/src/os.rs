//! Everything that depends on the operating system.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use self::linux::{ControlGroup, Prepared, check, make_private_dir};
#[cfg(not(target_os = "linux"))]
pub(crate) use self::other::{ControlGroup, Prepared, check, make_private_dir};
