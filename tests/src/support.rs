//! What the test programs of the workspace share: hosts, plugins, processes, and waiting for conditions.
//!
//! A function that lacks something it needs fails the test with a panic.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod conformance;
#[cfg(unix)]
pub mod faulty;
pub mod pages;
#[cfg(unix)]
pub mod process;
#[cfg(unix)]
pub mod process_tree;
pub mod programs;
#[cfg(unix)]
pub mod scripts;
#[cfg(unix)]
pub mod signals;
pub mod wait;

use std::time::Duration;

/// The longest that anything in a test may take on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(30);
