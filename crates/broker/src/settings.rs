//! What a broker is made with.

use std::{fmt, net::IpAddr, ops::RangeInclusive, sync::Arc, time::Duration};

use rpcplugin_core::Endpoint;
use rpcplugin_transport::{Security, ServiceLayers, SocketDir, http2};
use tokio_util::sync::CancellationToken;

/// Which side of the main connection a broker is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two sides")]
pub enum Side {
    /// The program that uses the plugin.
    Host,
    /// The plugin.
    Plugin,
}

/// How a side has come to its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Arrival {
    /// The one has launched the other, and nobody else knows it.
    #[default]
    AtLaunch,
    /// A host attaches to a plugin that runs. The plugin may have had other hosts, or still have them: ids are counted
    /// from somewhere instead of 1, so that they are not taken for another host's, and a plugin whose broker did not
    /// outlive its first host is found out at once.
    Attached,
}

/// How a broker behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BrokerSettings {
    /// Who may speak on brokered connections: what the main connection has.
    pub security: Security,
    /// HTTP/2 settings of brokered connections, and how long one may take to be made.
    pub http2: http2::Settings,
    /// How long to wait for the peer: for the address of a service, for the answer to a knock, and for the broker's
    /// stream itself. Default 5 s, which is what Go peers wait. Much less makes dials fail on a busy machine.
    pub patience: Duration,
    /// How long an address that the peer announced is kept while nobody dials it. Default 60 s; Go peers keep them for
    /// 5 s. An address that was dialled is kept for further dials, and so is that of a well-known id, such as
    /// [`HOST_SERVICES`](crate::HOST_SERVICES). Multiplexed there are no addresses; a knock for an id that is not served
    /// yet waits for 4.5 s, since a dialer in Go waits no longer than 5 s, or for a little less than
    /// [`patience`](Self::patience) if that is more and the peer is rpcplugin.
    pub unclaimed: Duration,
    /// How long calls on a brokered server may go on after it was told to stop; then they are cut. Default 1 s.
    pub grace: Duration,
    /// How this side has come to its peer. Default: by a launch.
    pub arrival: Arrival,
    /// What is put around the services of this side, each time that some are served. Default: nothing.
    pub layers: ServiceLayers,
    /// Translates addresses between this side and a peer that sees other paths or networks, such as a plugin in a
    /// container. Of no use when multiplexed. Default: none, addresses mean the same on both sides.
    pub translate: Option<Arc<dyn Translate>>,
    /// The span of the plugin whose broker this is. What the broker does of itself belongs there, and not to the call that
    /// happened to begin it. Default: none.
    pub span: tracing::Span,
    /// Fired to close the broker: the same as [`Broker::close`](crate::Broker::close). Default: a token of its own.
    pub shutdown: CancellationToken,
}

impl BrokerSettings {
    /// The defaults under this security.
    #[must_use]
    pub fn new(security: Security) -> Self {
        Self {
            security,
            http2: http2::Settings::default(),
            patience: Duration::from_secs(5),
            unclaimed: Duration::from_secs(60),
            grace: Duration::from_secs(1),
            arrival: Arrival::AtLaunch,
            layers: ServiceLayers::new(),
            translate: None,
            span: tracing::Span::none(),
            shutdown: CancellationToken::new(),
        }
    }
}

/// Where a direct broker's services listen.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Place {
    /// Each on a Unix socket in this directory.
    Unix(SocketDir),
    /// Each on a TCP port.
    Tcp {
        /// The address on which to listen.
        host: IpAddr,
        /// The ports to choose from, both ends included; `0..=0` lets the operating system choose.
        ports: RangeInclusive<u16>,
    },
}

/// Any error, as other people's code returns it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Translates addresses between a host and a plugin that do not see the same files and networks.
///
/// # Protocol
/// go-plugin `runner/runner.go` `AddrTranslator`: only hosts translate.
pub trait Translate: fmt::Debug + Send + Sync + 'static {
    /// Where the peer has to dial to reach what listens at `endpoint` on this side.
    ///
    /// # Errors
    /// Whatever makes the address unreachable for the peer.
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError>;

    /// Where this side has to dial to reach what the peer calls `endpoint`.
    ///
    /// # Errors
    /// Whatever makes the address unreachable for this side.
    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError>;
}
