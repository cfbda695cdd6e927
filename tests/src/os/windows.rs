//! Windows.

pub(crate) mod cores;
pub(crate) mod files;
mod kernel;
pub(crate) mod processes;
pub(crate) mod programs;
pub(crate) mod termination;
pub(crate) mod usage;

/// The error of what only Unix has.
fn unsupported(text: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::Unsupported, text)
}
