//! What the plugin prints: captured at the level of file descriptors, kept within bounds, handed to hosts.

mod buffer;
mod capture;
mod held;

pub(crate) use buffer::{Output, Source};
pub(crate) use capture::{Capture, Tee};
pub(crate) use held::HeldStdout;
