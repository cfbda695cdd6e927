//! What a server serves, and how.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{http2::settings::Settings, service::Services, tls::Security};

/// The services, security, limits and end of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Serving {
    /// The services.
    pub services: Services,
    /// How connections are secured.
    pub security: Security,
    /// The HTTP/2 settings of each connection.
    pub settings: Settings,
    /// Starts the shutdown: no further connection is accepted, and calls in flight go on for at most `grace`.
    pub shutdown: CancellationToken,
    /// How long calls may go on after `shutdown`. Then they are cancelled. Default: 1 s.
    pub grace: Duration,
}

impl Serving {
    /// Serves these services with this security until `shutdown`.
    #[must_use]
    pub fn new(services: Services, security: Security, shutdown: CancellationToken) -> Self {
        Self { services, security, settings: Settings::default(), shutdown, grace: Duration::from_secs(1) }
    }
}
