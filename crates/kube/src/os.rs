//! What the reaper asks the operating system: which process this is, and whether another process of this machine runs.
//!
//! Linux answers. Other systems do not, and pods of a host there are removed by their owner or by their orphan timeout.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
use other as system;

pub(crate) use system::{machine, start_time};
