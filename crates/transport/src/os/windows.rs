//! Windows.

pub(crate) mod descriptors;
pub(crate) mod exit;
pub(crate) mod files;
pub(crate) mod groups;
pub(crate) mod processes;
pub(crate) mod sockets;

/// The error of what needs a Unix socket.
fn no_unix_sockets() -> std::io::Error {
    let text = "there are no Unix sockets on Windows; use TCP";
    std::io::Error::new(std::io::ErrorKind::Unsupported, text)
}
