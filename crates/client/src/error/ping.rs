//! The error of a ping.

use std::time::Duration;

use miette::Diagnostic;

use crate::exit::ExitReason;

/// A plugin did not answer a ping.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum PingError {
    /// The process has exited. [`PluginExited`](crate::PluginExited), the source of a failed call, has the same code.
    #[error("the plugin has ended: {0}")]
    #[diagnostic(code(rpcplugin::transport::plugin_ended), help("launch it again"))]
    Ended(ExitReason),
    /// The plugin did not answer in time.
    #[error("the plugin did not answer within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::ping_timeout),
        help("stop the plugin, and launch it again: it may be stopped, overloaded or stuck")
    )]
    Timeout(Duration),
    /// The plugin answered with an error.
    #[error("the health call of the plugin failed")]
    #[diagnostic(
        code(rpcplugin::protocol::no_health),
        help("serve grpc.health.v1.Health for the name `plugin` in the plugin")
    )]
    Failed(#[from] tonic::Status),
}
