//! Opening the connection: channel, broker, and the health call.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use rpcplugin_broker::{Broker, BrokerSettings, ListenAt, PeerOrigin, Role};
use rpcplugin_config::{ByteSize, HostConfig};
use rpcplugin_core::{Endpoint, PluginMetadata};
use rpcplugin_mtls::PeerCertificate;
use rpcplugin_transport::{
    Dialer, InheritedConnection, Meter, SecureStream, Security, ServiceLayers, SocketDir,
    http2::{self, ChannelError, Connect, PluginChannel},
    yamux,
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{health::check_health, route::Route};
use crate::error::ConnectFault;

/// The plugin to connect to.
#[derive(Debug)]
pub(crate) struct ConnectTarget<'a> {
    /// The endpoint that this host dials.
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) route: Route,
    /// The connection that the plugin has inherited, which carries the broker's connections too.
    pub(crate) inherited: Option<&'a InheritedConnection>,
    pub(crate) security: &'a Security,
    /// Whether brokered connections share the main one's socket.
    pub(crate) multiplex: bool,
    /// Whether the plugin accepts the lane.
    pub(crate) lane: bool,
    /// The directory for sockets of the host.
    pub(crate) sockets: &'a SocketDir,
    /// Counts the bytes on all connections.
    pub(crate) meter: &'a Meter,
    /// Layers around the host's services.
    pub(crate) layers: &'a ServiceLayers,
    /// The plugin's span, for the tasks of the broker and of the session.
    pub(crate) span: &'a Span,
    /// Whether the plugin may know other hosts.
    pub(crate) peer_origin: PeerOrigin,
    /// Cancelled when the process of the plugin has exited, if this host knows the process.
    pub(crate) exit: Option<CancellationToken>,
}

/// An open connection, on which the plugin has answered.
pub(crate) struct Opened {
    pub(crate) channel: PluginChannel,
    pub(crate) broker: BrokerGuard,
    /// The certificate that the plugin presented.
    pub(crate) certificate: Option<PeerCertificate>,
    pub(crate) metadata: KnownMetadata,
    /// The time that it took to open.
    pub(crate) connection: Duration,
    /// The time that the health call took.
    pub(crate) health: Option<Duration>,
}

/// The metadata of a plugin, once it has been asked for. `None` in it if the plugin has no metadata.
pub(crate) type KnownMetadata = Arc<OnceCell<Option<PluginMetadata>>>;

/// Closes the broker when it is dropped, unless it was kept. Services on the broker may hold a clone of it, and would
/// continue after a failed launch.
pub(crate) struct BrokerGuard(Option<Broker>);

impl BrokerGuard {
    /// Returns the broker, which this guard still closes.
    pub(crate) fn get(&self) -> &Broker {
        self.0.as_ref().expect("only `keep` takes it, and consumes the guard")
    }

    /// Returns the broker. The caller closes it.
    pub(crate) fn keep(mut self) -> Broker {
        self.0.take().expect("only `keep` takes it, and consumes the guard")
    }
}

impl Drop for BrokerGuard {
    fn drop(&mut self) {
        if let Some(broker) = &self.0 {
            broker.close();
        }
    }
}

/// Opens the channel and makes sure that the plugin answers.
pub(crate) async fn open(target: ConnectTarget<'_>, config: &HostConfig) -> Result<Opened, ConnectFault> {
    let mutual = target.security.is_mutual();
    open_any(target, config).await.map_err(|fault| match fault {
        // In TLS 1.3 a server verifies the client's certificate after the client's handshake is complete.
        ConnectFault::Unreachable(ChannelError::NotHttp2(error)) if mutual => {
            ConnectFault::HostRefused(error)
        }
        ConnectFault::HealthCheckFailed(status) if mutual && http2::is_broken_connection(&status) => {
            ConnectFault::HostRefused(status.into())
        }
        fault => fault,
    })
}

async fn open_any(target: ConnectTarget<'_>, config: &HostConfig) -> Result<Opened, ConnectFault> {
    let begun = Instant::now();
    let ConnectTarget {
        endpoint,
        route,
        inherited,
        security,
        multiplex,
        lane,
        sockets,
        meter,
        layers,
        span,
        peer_origin,
        exit,
    } = target;
    let Route { translate, dialer } = route;
    let mut settings = http2_settings(config);
    settings.meter = Some(meter.clone());
    settings.peer_exit = exit;
    if lane {
        settings.lane = http2::Lane::Used;
    }
    let mut brokered = BrokerSettings::new(security.clone());
    brokered.http2 = settings.clone();
    brokered.http2.meter = Some(meter.brokered());
    brokered.peer_timeout = config.broker_timeout;
    brokered.translate = translate;
    brokered.dialer = dialer.clone();
    brokered.layers = layers.clone();
    brokered.span = span.clone();
    brokered.peer_origin = peer_origin;
    let security = security.clone();
    let presented = Arc::new(OnceLock::new());
    let connected = async {
        if multiplex && inherited.is_none() {
            let broker = Broker::multiplexed(Role::Host, brokered);
            let connection = dialer.dial(endpoint).await.map_err(ChannelError::from)?;
            let session = span.in_scope(|| yamux::Session::client(connection, yamux::Config::default()));
            // The host has no main listener: the broker resets streams without a knock.
            drop(broker.start_session(session));
            let connector =
                Multiplexed { broker: broker.clone(), security, presented: Arc::clone(&presented) };
            Ok((http2::connect(connector, &settings).await?, broker))
        } else {
            let listen_at = match (inherited, endpoint) {
                (Some(connection), _) => ListenAt::Inherited(connection.clone()),
                (None, Endpoint::Tcp(_)) => ListenAt::Tcp { host: [127, 0, 0, 1].into(), ports: 0..=0 },
                _ => ListenAt::Unix(sockets.clone()),
            };
            let broker = Broker::direct(Role::Host, brokered, listen_at);
            let connector =
                Direct { endpoint: endpoint.clone(), dialer, security, presented: Arc::clone(&presented) };
            Ok((http2::connect(connector, &settings).await?, broker))
        }
    };
    let (channel, broker) = match config.connection_timeout {
        None => connected.await,
        Some(limit) => within(limit, connected).await,
    }
    .map_err(ConnectFault::Unreachable)?;
    let connection = begun.elapsed();
    let health = if config.health_check {
        let asked = Instant::now();
        check_health(&channel).await?;
        Some(asked.elapsed())
    } else {
        None
    };
    let broker = BrokerGuard(Some(broker));
    let certificate = presented.get().cloned();
    Ok(Opened { channel, broker, certificate, metadata: KnownMetadata::default(), connection, health })
}

async fn within<T>(
    limit: Duration,
    connected: impl Future<Output = Result<T, ChannelError>>,
) -> Result<T, ChannelError> {
    timeout(limit, connected).await.unwrap_or(Err(ChannelError::Timeout(limit)))
}

/// Opens connections to the plugin's endpoint.
struct Direct {
    endpoint: Endpoint,
    dialer: Dialer,
    security: Security,
    presented: Presented,
}

/// The certificate that the plugin presented first. It cannot change, because the host trusts no other.
type Presented = Arc<OnceLock<PeerCertificate>>;

/// Keeps the certificate of a stream that has just been secured.
fn note(stream: SecureStream, presented: &Presented) -> SecureStream {
    if let Some(certificate) = stream.peer_certificate() {
        presented.get_or_init(|| certificate);
    }
    stream
}

impl Connect for Direct {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(note(self.security.client(self.dialer.dial(&self.endpoint).await?).await?, &self.presented))
    }
}

/// Opens streams on the multiplexed connection to the plugin.
struct Multiplexed {
    broker: Broker,
    security: Security,
    presented: Presented,
}

impl Connect for Multiplexed {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let stream = self.broker.open_main_stream().await.map_err(|source| ChannelError::Other {
            what: "the multiplexed connection is closed",
            source: source.into(),
        })?;
        Ok(note(self.security.client(stream).await?, &self.presented))
    }
}

fn http2_settings(config: &HostConfig) -> http2::Settings {
    let mut settings = http2::Settings::default();
    settings.stream_window = config.http2.stream_window.as_u32();
    settings.connection_window = config.http2.connection_window.as_u32();
    settings.max_frame = config.http2.max_frame.as_u32();
    settings.max_headers = config.http2.max_headers.as_u32();
    settings.handshake_timeout = config.http2.handshake_timeout;
    settings.max_receive_message_size = config.max_receive_message_size.map(ByteSize::as_u64);
    settings.max_send_message_size = config.max_send_message_size.map(ByteSize::as_u64);
    settings.keepalive = config
        .keepalive
        .as_ref()
        .map(|pings| http2::Keepalive { interval: pings.interval, timeout: pings.timeout });
    settings
}
