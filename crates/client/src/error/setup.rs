//! Faults of the host's own settings and directories.

use miette::Diagnostic;
use rpcplugin_config::ConfigError;
use rpcplugin_transport::SocketDirError;

/// The host could not prepare the launch.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum SetupFault {
    /// The directory for sockets cannot be made.
    #[error("the directory for sockets cannot be made")]
    #[diagnostic(code(rpcplugin::transport::no_socket_dir))]
    SocketDir(
        #[from]
        #[diagnostic_source]
        SocketDirError,
    ),
    /// The host's settings have invalid values, or contradict each other.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Settings(#[from] ConfigError),
}
