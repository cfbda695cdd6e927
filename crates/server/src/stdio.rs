//! The plugin's stdout and stderr: captured for hosts, with the original descriptors kept for the handshake line and the
//! log.

mod buffer;
mod capture;
mod original_stderr;
mod stdout_redirect;

pub use original_stderr::OriginalStderr;

pub(crate) use self::{
    buffer::{CaptureBuffer, Source},
    capture::{Capture, Tee},
    stdout_redirect::RedirectedStdout,
};
