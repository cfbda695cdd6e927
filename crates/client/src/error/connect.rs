//! Faults of the connection.

use std::time::Duration;

use miette::Diagnostic;
use rpcplugin_broker::AcceptError;
use rpcplugin_transport::http2::ChannelError;
use tonic_health::ServingStatus;

use crate::exit::ExitReason;

/// The plugin printed its handshake line, and the host could not connect to it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum ConnectFault {
    /// The plugin cannot be reached at its endpoint.
    #[error("the plugin announced itself and cannot be reached")]
    #[diagnostic(code(rpcplugin::transport::unreachable))]
    Unreachable(
        #[from]
        #[diagnostic_source]
        ChannelError,
    ),
    /// The host's services cannot be served to the plugin.
    #[error("the host's services cannot be served to the plugin")]
    #[diagnostic(code(rpcplugin::transport::callbacks))]
    HostServices(
        #[from]
        #[diagnostic_source]
        AcceptError,
    ),
    /// The process exited after its handshake line, before the host was connected.
    #[error("the plugin exited while the host connected to it: {0}")]
    #[diagnostic(
        code(rpcplugin::handshake::exited_connecting),
        help("see what the plugin wrote on stderr: it failed after its handshake line")
    )]
    Exited(ExitReason),
    /// The TLS connection was established, and closed before the plugin answered. A plugin that does not accept the
    /// host's certificate reports so only after the host has accepted the plugin's.
    #[error("the plugin does not accept this host's certificate, or closed the connection")]
    #[diagnostic(
        code(rpcplugin::security::host_refused),
        help(
            "see what the plugin wrote on stderr; with AutoMTLS check that nothing changes PLUGIN_CLIENT_CERT on its way to the \
             plugin, and with given certificates let the plugin trust the issuer of the host's"
        )
    )]
    HostRefused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The health call failed.
    #[error("the plugin refused the health call, or closed the connection")]
    #[diagnostic(
        code(rpcplugin::transport::health_check_failed),
        help("see what the plugin wrote on stderr; it may have ended, or may not be a plugin of this kind")
    )]
    HealthCheckFailed(#[source] tonic::Status),
    /// The plugin reports that it is not healthy.
    #[error("the plugin reports its health as {0}")]
    #[diagnostic(
        code(rpcplugin::protocol::not_healthy),
        help("see the plugin's log: the plugin set this health status itself")
    )]
    NotHealthy(ServingStatus),
    /// The plugin printed its handshake line and was not ready within the timeout.
    #[error("the plugin announced itself and was not ready after {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::not_ready),
        help(
            "check whether the plugin hangs: it accepts connections and does not answer; or raise the timeout \
             (PLUGIN_CHANNEL_READY_TIMEOUT)"
        )
    )]
    Timeout(Duration),
}
