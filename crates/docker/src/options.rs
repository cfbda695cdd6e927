//! Options of a container that have a type of their own.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// When the image is fetched from its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pull {
    /// Never. An image that the engine does not have is an error.
    #[default]
    Never,
    /// If the engine does not have the image, or has another one than the digest says.
    IfMissing,
    /// At each start.
    Always,
}

/// The user as which the plugin runs in the container.
///
/// The plugin has to be able to create its sockets in a directory of the host, and the host has to be able to connect to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum User {
    /// The user of the host. With an engine that runs as root this is the same user and group number in the container. With a
    /// Podman that runs without root the number is kept by `keep-id`. With a Docker that runs without root it is the root of
    /// the container, which is the user of the engine.
    #[default]
    Auto,
    /// The user that the image names. Any user but that of the host needs a group that both share: set
    /// `unix_socket_group` of the host.
    Image,
    /// This user and group. Any user but that of the host needs a group that both share, as with [`Image`](Self::Image).
    Ids {
        /// The number of the user.
        uid: u32,
        /// The number of the group.
        gid: u32,
    },
}

/// The name and the password for a registry.
///
/// `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) server: Option<String>,
}

/// A directory or file of the engine's machine that is visible in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BindMount {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) is_writable: bool,
}

impl Credentials {
    /// A name with a password, or with a token in its place.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into(), server: None }
    }

    /// Names the registry. Default: the registry of the image.
    #[must_use]
    pub fn server(self, server: impl Into<String>) -> Self {
        Self { server: Some(server.into()), ..self }
    }
}

impl BindMount {
    pub(crate) fn new(source: &Path, target: &Path, is_writable: bool) -> Self {
        Self { source: source.to_owned(), target: target.to_owned(), is_writable }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_password() {
        let text = format!("{:?}", Credentials::new("ada", "hunter2").server("registry.example"));
        assert!(text.contains("ada") && text.contains("registry.example"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
