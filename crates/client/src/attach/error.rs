//! Why a host could not attach to a plugin.

use miette::Diagnostic;
use rpcplugin_config::ConfigError;
use rpcplugin_core::Endpoint;
use rpcplugin_handshake::VersionNotOffered;
use rpcplugin_transport::http2::ChannelError;

use crate::error::LaunchFault;

/// A host could not attach to a plugin.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum AttachError {
    /// Nobody is there.
    #[error("there is no plugin at {endpoint}")]
    #[diagnostic(
        code(rpcplugin::transport::attach_no_plugin),
        help(
            "the plugin has ended, or listens elsewhere by now: start it anew, and attach with what it says then"
        )
    )]
    NoPlugin {
        /// Where it was looked for.
        endpoint: Endpoint,
        /// What became of the connection.
        source: ChannelError,
    },
    /// Somebody is there, and not a plugin that this host can use.
    #[error("the plugin at {endpoint} cannot be attached to")]
    #[diagnostic(
        code(rpcplugin::transport::attach_refused),
        help("check that it is the plugin that was meant, and that both sides are secured in the same way")
    )]
    Refused {
        /// Where it is.
        endpoint: Endpoint,
        /// What went wrong.
        #[diagnostic_source]
        source: LaunchFault,
    },
    /// It speaks a version of the protocol that this host does not.
    #[error("it does not speak this host's protocol")]
    #[diagnostic(code(rpcplugin::protocol::attach_version))]
    Version(
        #[from]
        #[diagnostic_source]
        VersionNotOffered,
    ),
    /// The host's configuration has values that are impossible, or do not go together.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Settings(#[from] ConfigError),
    /// The host asks for one socket for everything.
    #[error("a plugin that is attached to cannot carry all connections over one socket")]
    #[diagnostic(
        code(rpcplugin::config::attach_multiplexed),
        help("do not ask for multiplexing in the host (PLUGIN_MULTIPLEX_GRPC) when it attaches")
    )]
    Multiplexed,
}
