//! The connection with a plugin that has said where it listens: channel, broker, and a first call.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use rpcplugin_broker::{Broker, BrokerSettings, ListenAt, PeerOrigin, Role, Translate};
use rpcplugin_config::{ByteSize, HostConfig};
use rpcplugin_core::Endpoint;
use rpcplugin_mtls::PeerCertificate;
use rpcplugin_transport::{
    Meter, SecureStream, Security, ServiceLayers, SocketDir, dial,
    http2::{self, ChannelError, Connect, PluginChannel},
    yamux,
};
use tokio::time::{Instant, timeout};
use tracing::Span;

use super::health::check_health;
use crate::error::ConnectFault;

/// What is needed to reach a plugin.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// Where this host dials.
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) security: &'a Security,
    /// Whether brokered connections share the main one's socket.
    pub(crate) multiplex: bool,
    /// Where the host makes sockets of its own.
    pub(crate) sockets: &'a SocketDir,
    pub(crate) translate: Option<Arc<dyn Translate>>,
    /// What counts the traffic of all connections.
    pub(crate) meter: &'a Meter,
    /// What is put around the host's services.
    pub(crate) layers: &'a ServiceLayers,
    /// What the broker and the session do of themselves belongs to the plugin's life, and not to who connects.
    pub(crate) span: &'a Span,
    /// Whether the plugin may know other hosts.
    pub(crate) arrival: PeerOrigin,
}

/// A connection on which somebody answers.
pub(crate) struct Opened {
    pub(crate) channel: PluginChannel,
    pub(crate) broker: BrokerGuard,
    /// The certificate that the plugin presented.
    pub(crate) certificate: Option<PeerCertificate>,
    /// How long it took to open.
    pub(crate) connection: Duration,
    /// How long the health call took.
    pub(crate) health: Option<Duration>,
}

/// A broker that is closed on drop, unless it is kept: what it serves for the host may hold a clone of it, and would go on
/// though the plugin never was there.
pub(crate) struct BrokerGuard(Option<Broker>);

impl BrokerGuard {
    /// The broker, which stays this one's to close.
    pub(crate) fn get(&self) -> &Broker {
        self.0.as_ref().expect("it is taken out with the last of this value")
    }

    /// The broker, to be closed by somebody else.
    pub(crate) fn keep(mut self) -> Broker {
        self.0.take().expect("only this takes it, and only once")
    }
}

impl Drop for BrokerGuard {
    fn drop(&mut self) {
        if let Some(broker) = &self.0 {
            broker.close();
        }
    }
}

/// Opens the channel and makes sure that somebody answers.
pub(crate) async fn open(target: Target<'_>, config: &HostConfig) -> Result<Opened, ConnectFault> {
    let mutual = target.security.is_mutual();
    open_any(target, config).await.map_err(|fault| match fault {
        // In TLS 1.3 a server looks at the client's certificate when the client's handshake is over.
        ConnectFault::Unreachable(ChannelError::NotHttp2(error)) if mutual => {
            ConnectFault::HostRefused(error)
        }
        ConnectFault::HealthCheckFailed(status) if mutual && http2::is_broken_connection(&status) => {
            ConnectFault::HostRefused(status.into())
        }
        fault => fault,
    })
}

async fn open_any(target: Target<'_>, config: &HostConfig) -> Result<Opened, ConnectFault> {
    let begun = Instant::now();
    let Target { endpoint, security, multiplex, sockets, translate, meter, layers, span, arrival } = target;
    let mut settings = http2_settings(config);
    settings.meter = Some(meter.clone());
    let mut brokered = BrokerSettings::new(security.clone());
    brokered.http2 = settings.clone();
    brokered.http2.meter = Some(meter.brokered());
    brokered.peer_timeout = config.broker_timeout;
    brokered.translate = translate;
    brokered.layers = layers.clone();
    brokered.span = span.clone();
    brokered.peer_origin = arrival;
    let security = security.clone();
    let presented = Arc::new(OnceLock::new());
    let connected = async {
        if multiplex {
            let broker = Broker::multiplexed(Role::Host, brokered);
            let connection = dial(endpoint).await.map_err(ChannelError::from)?;
            let session = span.in_scope(|| yamux::Session::client(connection, yamux::Config::default()));
            // The host has no main listener: what nobody knocked for is reset by the broker.
            drop(broker.start_session(session));
            let connector =
                Multiplexed { broker: broker.clone(), security, presented: Arc::clone(&presented) };
            Ok((http2::connect(connector, &settings).await?, broker))
        } else {
            let place = match endpoint {
                Endpoint::Tcp(_) => ListenAt::Tcp { host: [127, 0, 0, 1].into(), ports: 0..=0 },
                _ => ListenAt::Unix(sockets.clone()),
            };
            let broker = Broker::direct(Role::Host, brokered, place);
            let connector =
                Direct { endpoint: endpoint.clone(), security, presented: Arc::clone(&presented) };
            Ok((http2::connect(connector, &settings).await?, broker))
        }
    };
    let (channel, broker) = match config.connection_timeout {
        None => connected.await,
        Some(deadline) => within(deadline, connected).await,
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
    Ok(Opened { channel, broker, certificate: presented.get().cloned(), connection, health })
}

async fn within<T>(
    deadline: Duration,
    connected: impl Future<Output = Result<T, ChannelError>>,
) -> Result<T, ChannelError> {
    timeout(deadline, connected).await.unwrap_or(Err(ChannelError::Timeout(deadline)))
}

/// Opens connections to the plugin's own endpoint.
struct Direct {
    endpoint: Endpoint,
    security: Security,
    presented: Presented,
}

/// The certificate that the other side presented first. It cannot change: a host trusts no second one.
type Presented = Arc<OnceLock<PeerCertificate>>;

/// Notes the certificate of a stream that has just been secured.
fn note(stream: SecureStream, presented: &Presented) -> SecureStream {
    if let Some(certificate) = stream.peer_certificate() {
        presented.get_or_init(|| certificate);
    }
    stream
}

impl Connect for Direct {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(note(self.security.client(dial(&self.endpoint).await?).await?, &self.presented))
    }
}

/// Opens streams on the one connection to the plugin.
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
