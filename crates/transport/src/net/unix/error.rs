//! The errors of socket directories and socket files.

use std::{io, path::PathBuf};

use rpcplugin_core::EndpointError;

/// A directory for sockets, or a socket in it, could not be made or shared.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum SocketDirError {
    /// The directory could not be made.
    #[error("cannot make a directory for sockets in {}", parent.display())]
    #[diagnostic(
        code(rpcplugin::transport::socket_dir_not_made),
        help("set `TMPDIR` to an existing directory in which this user may write")
    )]
    Create {
        /// The directory in which it was to be made.
        parent: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The path of a socket in the directory would exceed the limit of the operating system.
    #[error("no socket fits into {}", dir.display())]
    #[diagnostic(
        code(rpcplugin::transport::socket_dir_too_long),
        help("set `TMPDIR` or `PLUGIN_UNIX_SOCKET_DIR` to a short path such as /tmp")
    )]
    Unfit {
        /// The directory.
        dir: PathBuf,
        /// The fault of a path in it.
        source: EndpointError,
    },
    /// The group does not exist.
    #[error("there is no group {group:?}")]
    #[diagnostic(
        code(rpcplugin::config::unknown_group),
        help("set the name or the number of a group of this system")
    )]
    UnknownGroup {
        /// The name of the group.
        group: String,
        /// The error of the operating system, if it could not look up groups.
        source: Option<io::Error>,
    },
    /// The directory or socket could not be given to the group.
    #[error("cannot give {} to its group", path.display())]
    #[diagnostic(
        code(rpcplugin::transport::socket_not_shared),
        help("add this user to the group, or run the process as root")
    )]
    Share {
        /// The directory or socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}
