//! The times of a launch's steps.

use std::time::Duration;

/// The time that each step of a launch took.
///
/// The steps follow each other. Their sum is a little less than [`Plugin::launch_time`](crate::Plugin::launch_time),
/// which includes the time between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchTimings {
    /// Making the identity and the sockets' directory, and starting the process. `None` for a plugin that the host
    /// attached to.
    pub process: Option<Duration>,
    /// Waiting for the handshake line. `None` for a plugin that the host attached to.
    pub handshake: Option<Duration>,
    /// Opening the connection: dialling, TLS, HTTP/2.
    pub connection: Duration,
    /// The health call. `None` where [the configuration](rpcplugin_config::HostConfig::health_check) has none.
    pub health: Option<Duration>,
}
