//! The events of a folder of sockets.

use std::{fmt, path::PathBuf};

use tonic_health::ServingStatus;

use super::error::FolderError;
use crate::{exit::ExitReason, plugin::Plugin};

/// An event of a [`SocketFolder`](crate::SocketFolder).
#[derive(Debug)]
#[non_exhaustive]
pub enum FolderEvent {
    /// The host is attached to a plugin.
    Added(Box<FolderPlugin>),
    /// A plugin that was added has ended, or its socket is no longer in the folder.
    Gone {
        /// The name of the plugin.
        name: String,
        /// The path of its socket.
        path: PathBuf,
        /// The reason.
        reason: GoneReason,
    },
    /// A socket cannot be attached to.
    Failed {
        /// The name of the plugin.
        name: String,
        /// The path of its socket.
        path: PathBuf,
        /// The error.
        error: FolderError,
    },
    /// The folder cannot be read. Its plugins are still attached, and the host tries to read it again. Reported once for each
    /// kind of error.
    Unreadable(FolderError),
    /// Every socket that was in the folder at the start has been reported, as added or as failed. Comes once.
    UpToDate,
}

/// A plugin of a folder.
#[derive(Debug)]
#[non_exhaustive]
pub struct FolderPlugin {
    /// The name of the socket's file without its extension. Two sockets can have the same name.
    pub name: String,
    /// The path of its socket.
    pub path: PathBuf,
    /// The plugin. Dropping it closes the connection, and the host does not attach again while the socket stays.
    pub plugin: Plugin,
    /// The health that the plugin reported when it was added. `None` if the plugin has no health service, and if
    /// [`HostConfig::health_check`](rpcplugin_config::HostConfig::health_check) is off. [`Plugin::ping`] asks later.
    pub health: Option<ServingStatus>,
    /// The names of the gRPC services that the plugin serves, sorted. `None` if the plugin has no reflection, or its reflection
    /// fails.
    pub services: Option<Vec<String>>,
}

/// The reason why a plugin is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoneReason {
    /// The process has exited. If the process runs where this host cannot see it, nothing listens at its socket any more.
    Exited(ExitReason),
    /// The socket was removed or renamed. The process may still serve the calls of open connections.
    SocketRemoved,
    /// Another socket took its path, as that of a restarted plugin does. It is attached to next.
    SocketReplaced,
}

/// `its process has exited: exit status 1`, `its socket was removed`, or `another socket took its path`.
impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(ExitReason::Unknown) => f.write_str("its process has exited"),
            Self::Exited(reason) => write!(f, "its process has exited: {reason}"),
            Self::SocketRemoved => f.write_str("its socket was removed"),
            Self::SocketReplaced => f.write_str("another socket took its path"),
        }
    }
}
