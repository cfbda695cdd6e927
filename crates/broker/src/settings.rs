//! What a broker is made with.

use std::{fmt, net::IpAddr, ops::RangeInclusive, sync::Arc, time::Duration};

use rpcplugin_core::Endpoint;
use rpcplugin_transport::{Dialer, InheritedConnection, Security, ServiceLayers, SocketDir, http2};
use tokio_util::sync::CancellationToken;

/// The side of the main connection that a broker is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two sides")]
pub enum Role {
    /// The program that launches the plugin.
    Host,
    /// The plugin.
    Plugin,
}

/// How host and plugin have met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PeerOrigin {
    /// The host has launched the plugin, and no other host knows it.
    #[default]
    Launched,
    /// The host attaches to a running plugin, which may have had other hosts or still have them.
    ///
    /// Ids are counted from a random number instead of 1, so that they do not meet those of another host. A plugin whose
    /// broker did not outlive its first host is found out at once.
    Attached,
}

/// How a broker behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BrokerSettings {
    /// The security of brokered connections. It is that of the main connection.
    pub security: Security,
    /// The HTTP/2 settings of brokered connections, with the timeout for the handshake.
    pub http2: http2::Settings,
    /// How long to wait for the peer: for the address of a service, for the reply to a knock, and for the broker's stream
    /// itself. Default: 5 s, as peers in Go. A much shorter timeout makes dials fail on a busy machine.
    pub peer_timeout: Duration,
    /// How long an announced address is kept before it is dialled. Default: 60 s. Peers in Go keep it for 5 s.
    ///
    /// An address that was dialled does not expire, and neither does that of a well-known id such as
    /// [`HOST_SERVICES`](crate::HOST_SERVICES). Multiplexed mode has no addresses. There, a knock for an id that is not
    /// served yet waits for 4.5 s, because a dialer in Go gives up after 5 s. If the peer is rpcplugin and 90 % of
    /// [`peer_timeout`](Self::peer_timeout) is longer, the knock waits for that long.
    pub unused_address_timeout: Duration,
    /// How long calls to a service may take to finish after the service was stopped. Then they are cancelled. Default: 1 s.
    pub grace: Duration,
    /// How host and plugin have met. Default: by a launch.
    pub peer_origin: PeerOrigin,
    /// Layers around all services of this side. Default: none.
    pub layers: ServiceLayers,
    /// Translates addresses for a peer that sees other paths or networks, such as a plugin in a container. Without effect
    /// in multiplexed mode. Default: none.
    pub translate: Option<Arc<dyn Translate>>,
    /// Opens connections to the addresses that the peer announces, after their translation. Without effect in multiplexed
    /// mode. Default: by sockets.
    pub dialer: Dialer,
    /// The span of the plugin. The broker's own work is recorded in it, and not in the span of the call that began the
    /// work. Default: none.
    pub span: tracing::Span,
    /// Closes the broker when cancelled, as [`Broker::close`](crate::Broker::close) does. Default: a new token.
    pub shutdown: CancellationToken,
}

impl BrokerSettings {
    /// Makes the default settings with this security.
    #[must_use]
    pub fn new(security: Security) -> Self {
        Self {
            security,
            http2: http2::Settings::default(),
            peer_timeout: Duration::from_secs(5),
            unused_address_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(1),
            peer_origin: PeerOrigin::Launched,
            layers: ServiceLayers::new(),
            translate: None,
            dialer: Dialer::sockets(),
            span: tracing::Span::none(),
            shutdown: CancellationToken::new(),
        }
    }
}

/// Where the services of a direct broker listen.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ListenAt {
    /// Each on a Unix socket in this directory.
    Unix(SocketDir),
    /// Each on a TCP port.
    Tcp {
        /// The address to listen on.
        host: IpAddr,
        /// The ports to choose from, both ends included. `0..=0` is any free port.
        ports: RangeInclusive<u16>,
    },
    /// Each under a number, behind the connection that the plugin has inherited from its host. The peer needs the connection as its
    /// [`dialer`](BrokerSettings::dialer).
    Inherited(InheritedConnection),
}

/// Any error that a [`Translate`] returns.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Translates addresses between a host and a plugin that see different files and networks.
///
/// # Protocol
/// go-plugin `runner/runner.go` `AddrTranslator`: only hosts translate.
pub trait Translate: fmt::Debug + Send + Sync + 'static {
    /// Returns the address at which the peer can dial a socket of this side.
    ///
    /// # Errors
    /// When the peer cannot reach the address.
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError>;

    /// Returns the address at which this side can dial a socket of the peer.
    ///
    /// # Errors
    /// When this side cannot reach the address.
    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError>;
}
