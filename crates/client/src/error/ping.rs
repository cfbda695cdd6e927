//! Why a plugin did not answer a ping.

use std::time::Duration;

use miette::Diagnostic;

use crate::exit::ExitReason;

/// A plugin did not answer a ping.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum PingError {
    /// Its process has ended. The source of a call that failed by it, `PluginExited`, has the same code.
    #[error("the plugin has ended: {0}")]
    #[diagnostic(code(rpcplugin::transport::plugin_ended), help("launch it again"))]
    Ended(ExitReason),
    /// It did not answer in time.
    #[error("the plugin did not answer within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_hangs),
        help("it may be stopped, overloaded or stuck: stop it, and launch it again")
    )]
    Late(Duration),
    /// It answered with an error.
    #[error("the plugin cannot be asked for its health")]
    #[diagnostic(
        code(rpcplugin::protocol::no_health),
        help("the plugin has to serve grpc.health.v1.Health for the name `plugin`")
    )]
    Failed(#[from] tonic::Status),
}
