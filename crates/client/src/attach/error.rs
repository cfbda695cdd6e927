//! Why a host could not attach to a plugin.

use miette::Diagnostic;
use rpcplugin_config::ConfigError;
use rpcplugin_core::Endpoint;
use rpcplugin_handshake::VersionNotOffered;
use rpcplugin_transport::http2::ChannelError;

use crate::error::LaunchFault;

/// The host could not attach to the plugin.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum AttachError {
    /// No process listens at the endpoint.
    #[error("there is no plugin at {endpoint}")]
    #[diagnostic(
        code(rpcplugin::transport::attach_no_plugin),
        help(
            "start the plugin anew, and attach with what it prints then: it has ended, or listens elsewhere now"
        )
    )]
    NoPlugin {
        /// The endpoint.
        endpoint: Endpoint,
        /// The error of the connection.
        source: ChannelError,
    },
    /// A process listens at the endpoint, and this host cannot use it.
    #[error("the plugin at {endpoint} cannot be attached to")]
    #[diagnostic(
        code(rpcplugin::transport::attach_refused),
        help("check that it is the plugin that was meant, and that both sides are secured in the same way")
    )]
    Refused {
        /// The endpoint.
        endpoint: Endpoint,
        /// The fault.
        #[diagnostic_source]
        source: LaunchFault,
    },
    /// The plugin serves on the connection that it has inherited from its own host, and listens nowhere else.
    #[error("the plugin serves only the host that launched it, on a connection that it has inherited")]
    #[diagnostic(
        code(rpcplugin::transport::attach_inherited),
        help(
            "launch the plugin with `inherit_connection` off (PLUGIN_INHERIT_CONNECTION=false): it then listens at an endpoint"
        )
    )]
    Inherited,
    /// The plugin speaks a version of the protocol that this host does not offer.
    #[error("the plugin does not speak this host's protocol")]
    #[diagnostic(code(rpcplugin::protocol::attach_version))]
    Version(
        #[from]
        #[diagnostic_source]
        VersionNotOffered,
    ),
    /// The host's settings have invalid values, or contradict each other.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Settings(#[from] ConfigError),
    /// The host asks for multiplexing, which an attachment does not support.
    #[error("a plugin that is attached to cannot carry all connections over one socket")]
    #[diagnostic(
        code(rpcplugin::config::attach_multiplexed),
        help("switch multiplexing off in the host (PLUGIN_MULTIPLEX_GRPC) for attachments")
    )]
    Multiplexed,
}
