//! Why a host could not attach to a socket of a folder.

use std::{io, path::PathBuf};

use miette::Diagnostic;
use rpcplugin_core::EndpointError;
use rpcplugin_transport::http2::ChannelError;

use crate::{
    attach::AttachError,
    error::{ConnectFault, LaunchFault},
};

/// A host could not attach to a socket of a folder, or could not read the folder.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum FolderError {
    /// No process listens on the socket: its plugin has ended and left the file, or does not listen yet.
    #[error("no process listens on the socket {}", path.display())]
    #[diagnostic(
        code(rpcplugin::transport::folder_no_listener),
        help(
            "start the plugin of this socket, or remove the file: a plugin that was killed leaves its socket behind"
        )
    )]
    NoListener {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the attachment.
        source: AttachError,
    },
    /// The user of this host may not connect to the socket.
    #[error("this user may not connect to the socket {}", path.display())]
    #[diagnostic(
        code(rpcplugin::transport::folder_denied),
        help(
            "run host and plugin as the same user, or set `PLUGIN_UNIX_SOCKET_GROUP` of the plugin to a group of both: a socket \
             is open to its own user only"
        )
    )]
    Denied {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the attachment.
        source: AttachError,
    },
    /// The path of the socket cannot be an address.
    #[error("the path of a socket in the folder cannot be an address")]
    #[diagnostic(
        code(rpcplugin::transport::folder_address),
        help(
            "give the folder a shorter path, and the socket a name in UTF-8 without `|` and control characters"
        )
    )]
    Address(#[source] EndpointError),
    /// The host could not attach to the plugin.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Attach(#[from] AttachError),
    /// The folder cannot be read.
    #[error("the folder {} cannot be read", dir.display())]
    #[diagnostic(
        code(rpcplugin::transport::folder_unreadable),
        help("give the user of this host the permissions to read and to search the folder")
    )]
    Unreadable {
        /// The folder.
        dir: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl FolderError {
    /// The error of an attachment to this socket.
    pub(super) fn of(path: PathBuf, source: AttachError) -> Self {
        match connect_error(&source).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => Self::NoListener { path, source },
            Some(io::ErrorKind::PermissionDenied) => Self::Denied { path, source },
            _ => Self::Attach(source),
        }
    }

    /// Whether the file of the socket is gone. The next listing of the folder decides what this means.
    pub(super) fn is_vanished(&self) -> bool {
        let Self::Attach(error) = self else { return false };
        connect_error(error).is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the same attachment may succeed when it is tried again.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NoListener { .. } | Self::Denied { .. } => true,
            Self::Attach(AttachError::NoPlugin { .. }) => true,
            Self::Attach(AttachError::Refused { source, .. }) => may_pass(source),
            Self::Attach(_) | Self::Address(_) | Self::Unreadable { .. } => false,
        }
    }

    /// The code, which decides whether an error is the same as before.
    pub(super) fn code_text(&self) -> String {
        let own = self.code().map(|code| code.to_string()).unwrap_or_default();
        match self {
            Self::Attach(AttachError::Refused { source, .. }) => {
                own + &source.code().map(|code| code.to_string()).unwrap_or_default()
            }
            _ => own,
        }
    }
}

/// Whether a fault may pass. The health of a plugin that starts may change.
fn may_pass(fault: &LaunchFault) -> bool {
    fault.may_pass() || matches!(fault, LaunchFault::Connect(ConnectFault::NotHealthy(_)))
}

/// The error of the operating system for a connection that was not opened.
fn connect_error(error: &AttachError) -> Option<&io::Error> {
    match error {
        AttachError::NoPlugin { source: ChannelError::Connect(error), .. } => Some(&error.source),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rpcplugin_core::{Endpoint, SocketPath};
    use rpcplugin_transport::ConnectError;

    use super::*;

    #[test]
    fn the_error_of_the_system_decides_between_a_missing_listener_and_a_missing_permission() {
        let error = |kind: io::ErrorKind| {
            let endpoint = Endpoint::from(SocketPath::new("/run/kv.sock").expect("it fits"));
            let source = ConnectError { endpoint: endpoint.clone(), source: kind.into() };
            FolderError::of("/run/kv.sock".into(), AttachError::NoPlugin { endpoint, source: source.into() })
        };
        assert!(matches!(error(io::ErrorKind::ConnectionRefused), FolderError::NoListener { .. }));
        assert!(matches!(error(io::ErrorKind::PermissionDenied), FolderError::Denied { .. }));
        assert!(error(io::ErrorKind::NotFound).is_vanished());
        assert!(error(io::ErrorKind::PermissionDenied).may_pass());
    }
}
