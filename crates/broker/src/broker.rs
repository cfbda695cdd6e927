//! The handle of a broker.

use std::{fmt, sync::Arc};

use rpcplugin_core::ServiceId;
use rpcplugin_transport::{SecureStream, Services, Stream, http2::PluginChannel, yamux};

use crate::{
    accept::{self, Incoming, ServiceHandle},
    dial,
    error::{AcceptError, DialError, Unreachable},
    ids::HOST_SERVICES,
    message_stream::{self, DisconnectReason},
    session::{self, MainStreams},
    settings::{BrokerSettings, ListenAt, Role},
    shared::{Mode, Shared},
};

/// One side of the brokered connections between a host and a plugin. Cheap to clone.
///
/// The broker closes when [`close`](Self::close) is called, when the [shutdown token](BrokerSettings::shutdown) is
/// cancelled, or when the last clone is dropped.
#[derive(Clone)]
pub struct Broker(Arc<Handle>);

/// What all clones share. Dropping it closes the broker.
struct Handle(Arc<Shared>);

impl Broker {
    /// Makes a broker whose services listen on sockets of their own.
    #[must_use]
    pub fn direct(role: Role, settings: BrokerSettings, listen_at: ListenAt) -> Self {
        Self(Arc::new(Handle(Shared::new(role, settings, Mode::Direct(listen_at)))))
    }

    /// Makes a broker whose connections are streams of one yamux session, which
    /// [`start_session`](Self::start_session) sets.
    #[must_use]
    pub fn multiplexed(role: Role, settings: BrokerSettings) -> Self {
        Self(Arc::new(Handle(Shared::new(role, settings, Mode::Multiplexed))))
    }

    /// Starts a task that owns the session of a multiplexed broker. Returns the streams that the peer opens without a
    /// knock: on a plugin they are main connections. On a host such a stream is reset.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start_session(&self, session: yamux::Session) -> MainStreams {
        session::start(self.shared(), session)
    }

    /// Opens a main connection to a plugin that multiplexes: a stream that belongs to no service. It is not secured yet.
    ///
    /// The stream is opened while no dial is in progress, so that the plugin cannot take one for the other.
    ///
    /// # Errors
    /// [`Unreachable`] if there is no session within the [timeout](BrokerSettings::peer_timeout).
    ///
    /// # Cancel safety
    /// Dropping the future opens no stream, or a stream that is closed at once.
    pub async fn open_main_stream(&self) -> Result<Stream, Unreachable> {
        dial::open_main(self.shared()).await
    }

    /// Returns the services that a plugin adds to its main server, so that its host can [`attach`](Self::attach).
    ///
    /// Any number of hosts can open a stream to the broker. When a stream ends, services go on. Calls that waited for a
    /// reply on it fail.
    ///
    /// # Protocol
    /// `plugin.GRPCBroker`. Differs: the broker of a plugin in Go closes when its first stream ends.
    #[must_use]
    pub fn services(&self) -> Services {
        message_stream::services(self.shared())
    }

    /// Opens the stream to the plugin's broker on the host's main channel. The future ends when the stream ends or the
    /// broker closes, and returns how. Spawn the future: it does not count as a clone of the broker.
    ///
    /// A plugin without a broker ends the stream at once. Then every service and every dial of this side fails.
    ///
    /// After [`DisconnectReason::Lost`] the broker can be attached again. Its services are announced again, and callers that wait
    /// for the stream go on. The broker of rpcplugin accepts any number of streams. That of a plugin in Go closes when its
    /// first stream ends, which the next stream finds out: [`DisconnectReason::PeerClosed`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the stream. The broker can be attached again.
    pub fn attach(&self, channel: PluginChannel) -> impl Future<Output = DisconnectReason> + Send + use<> {
        message_stream::attach(Arc::clone(self.shared()), channel)
    }

    /// Returns an id that this side has not used yet. Ids count up from 1, or from a random number if the host has
    /// [attached](crate::PeerOrigin::Attached). Each side counts its own.
    #[must_use]
    pub fn next_id(&self) -> ServiceId {
        self.shared().next_id()
    }

    /// Serves under a new id. The peer can dial it when this returns.
    ///
    /// # Errors
    /// - [`AcceptError::Unreachable`] if there is no stream to the peer within the
    ///   [timeout](BrokerSettings::peer_timeout).
    /// - The other variants if the service cannot listen.
    ///
    /// # Cancel safety
    /// Dropping the future serves nothing.
    pub async fn serve(&self, services: Services) -> Result<ServiceHandle, AcceptError> {
        Ok(accept::serve(accept::listen(self.shared(), None).await?, services))
    }

    /// Serves under an id that both sides know in advance. Choose such ids from 2³¹ upwards: they are never counted, and
    /// their addresses do not expire.
    ///
    /// # Errors
    /// As [`serve`](Self::serve), and [`AcceptError::IdInUse`] if this side already serves the id.
    ///
    /// # Cancel safety
    /// Dropping the future serves nothing.
    pub async fn serve_at(&self, id: ServiceId, services: Services) -> Result<ServiceHandle, AcceptError> {
        Ok(accept::serve(accept::listen(self.shared(), Some(id)).await?, services))
    }

    /// Serves the host's services for its plugin under [`HOST_SERVICES`]. Unlike [`serve_at`](Self::serve_at), it does not
    /// wait for a stream to the plugin: the services are announced when there is one.
    ///
    /// # Errors
    /// As [`serve_at`](Self::serve_at), except for a missing stream to the peer.
    ///
    /// # Cancel safety
    /// Dropping the future serves nothing.
    pub async fn serve_host_services(&self, services: Services) -> Result<ServiceHandle, AcceptError> {
        let incoming = accept::listen_without_link(self.shared(), Some(HOST_SERVICES)).await?;
        Ok(accept::serve(incoming, services))
    }

    /// Refuses calls to [`HOST_SERVICES`]: a plugin that calls them fails at once instead of waiting.
    /// [`serve_host_services`](Self::serve_host_services) can still serve them later.
    ///
    /// # Protocol
    /// A plugin in Go or Python learns of it only when it knocks. Hosts other than rpcplugin do not refuse: there the plugin
    /// waits.
    pub fn refuse_host_services(&self) {
        self.shared().change(|state| state.router.refuse_host_services());
    }

    /// Accepts connections to a new id as streams, for protocols other than gRPC.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    ///
    /// # Cancel safety
    /// Dropping the future frees the id.
    pub async fn listen(&self) -> Result<Incoming, AcceptError> {
        accept::listen(self.shared(), None).await
    }

    /// Accepts connections to an id that both sides know in advance, as streams, for protocols other than gRPC.
    ///
    /// # Errors
    /// As [`serve_at`](Self::serve_at).
    ///
    /// # Cancel safety
    /// Dropping the future frees the id.
    pub async fn listen_at(&self, id: ServiceId) -> Result<Incoming, AcceptError> {
        accept::listen(self.shared(), Some(id)).await
    }

    /// Opens a channel to the service `id` of the peer. If the peer does not serve it yet, waits for it, at most for the
    /// [timeout](BrokerSettings::peer_timeout).
    ///
    /// The same id can be dialled again. A channel whose connection has broken makes a new one with its next call: in
    /// multiplexed mode with another knock, in direct mode at the same address.
    ///
    /// In multiplexed mode, dialers knock concurrently if the peer is rpcplugin. With other peers, such as a plugin in Go,
    /// they take turns: a dialer waits for those before it, and each wait has the whole timeout.
    ///
    /// # Errors
    /// [`DialError`].
    ///
    /// # Cancel safety
    /// Dropping the future gives up. The id can be dialled again.
    ///
    /// # Protocol
    /// go-plugin `grpc_broker.go` `Dial`. Differs: in direct mode, a peer in Go can dial an id once.
    pub async fn dial(&self, id: ServiceId) -> Result<PluginChannel, DialError> {
        dial::channel(self.shared(), id).await
    }

    /// Opens a stream to the service `id` of the peer, for protocols other than gRPC.
    ///
    /// # Errors
    /// As [`dial`](Self::dial).
    ///
    /// # Cancel safety
    /// As [`dial`](Self::dial).
    pub async fn dial_stream(&self, id: ServiceId) -> Result<SecureStream, DialError> {
        dial::open(self.shared(), id).await
    }

    /// Returns the plugin's channel to the services of its host, [`HOST_SERVICES`]. The first call opens the connection. All
    /// callers share it, and a broken connection is replaced.
    ///
    /// If the host of rpcplugin has no services for its plugins (no `Host::callbacks`), calls fail at once with
    /// FAILED_PRECONDITION. With other hosts they fail with UNAVAILABLE after the
    /// [timeout](BrokerSettings::peer_timeout), because the host may serve the id later. In multiplexed mode a refusal is
    /// final for this channel.
    #[must_use]
    pub fn host_channel(&self) -> PluginChannel {
        let shared = self.shared();
        shared.host_channel.get_or_init(|| dial::lazy_channel(shared, HOST_SERVICES)).clone()
    }

    /// Returns the side of this broker.
    #[must_use]
    pub fn role(&self) -> Role {
        self.shared().role
    }

    /// Closes the broker. Its services stop, with the [grace](BrokerSettings::grace) for calls in flight. Pending calls of
    /// `serve` and `dial` fail, and the streams to the peer end. Dialled channels work as long as the peer serves them.
    pub fn close(&self) {
        self.shared().closed.cancel();
    }

    /// Waits until the broker has [closed](Self::close) and the calls to its services have finished, or were cancelled after
    /// the [grace](BrokerSettings::grace). In multiplexed mode it then ends the session with its main connections, and waits
    /// at most a second until all written data has left.
    ///
    /// A plugin awaits this before its runtime ends, because the end of the runtime cancels the calls.
    ///
    /// # Cancel safety
    /// Safe to drop and to call again.
    pub async fn drained(&self) {
        self.shared().drained().await;
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("role", &self.role())
            .field("closed", &self.shared().closed.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.closed.cancel();
    }
}
