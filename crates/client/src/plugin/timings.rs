//! How long each step of a start took.

use std::time::Duration;

/// How long each step took on the way from a command to a [`Plugin`](crate::Plugin).
///
/// The steps follow each other; their sum is a little less than [`Plugin::launch_time`](crate::Plugin::launch_time),
/// which holds the moments between them too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchTimings {
    /// Making the identity and the sockets' directory, and starting the process. None for a plugin that was attached
    /// to.
    pub process: Option<Duration>,
    /// Waiting for its handshake line. None for a plugin that was attached to.
    pub handshake: Option<Duration>,
    /// Opening the connection: dialling, TLS, HTTP/2.
    pub connection: Duration,
    /// The health call. None where [the configuration](rpcplugin_config::HostConfig::health_check) has none.
    pub health: Option<Duration>,
}
