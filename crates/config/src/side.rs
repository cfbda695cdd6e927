//! The two sides of a plugin's connection.

use std::fmt;

/// The side of the handshake that a setting is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Side {
    /// The program that is started, [`PluginConfig`].
    Plugin,
    /// The program that starts plugins, [`HostConfig`].
    Host,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plugin => "plugin",
            Self::Host => "host",
        })
    }
}
