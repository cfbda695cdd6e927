//! The handle of a broker.

use std::{fmt, sync::Arc};

use rpcplugin_core::ServiceId;
use rpcplugin_transport::{SecureStream, Services, Stream, http2::PluginChannel, yamux};

use crate::{
    dial::{self, lazy_channel},
    error::{DialError, ServeError, Unreachable},
    link::{self, Detached},
    serve::{self, Brokered, Incoming},
    settings::{BrokerSettings, Place, Side},
    shared::{Shared, Way},
    streams::{MainStreams, take_charge},
};

/// The well-known id of the services that a host offers to every plugin, for which no number has to be sent:
/// 4 000 000 000.
///
/// The host [offers](Broker::offer) them at launch, the plugin calls them on its [`Broker::host_channel`]. A Go plugin
/// can dial the number too; without multiplexing, once, and within 5 s after the host has connected.
pub const HOST_SERVICES: ServiceId = ServiceId(4_000_000_000);

/// One side of the side connections between a host and a plugin. Cheap to clone.
///
/// It closes when [`close`](Self::close) is called, when the [shutdown token](BrokerSettings::shutdown) fires, or when the
/// last clone is dropped.
#[derive(Clone)]
pub struct Broker(Arc<Handle>);

/// What all clones share; its end is the end of the last clone.
struct Handle(Arc<Shared>);

impl Broker {
    /// A broker whose services listen on sockets of their own, made in `place`.
    #[must_use]
    pub fn direct(side: Side, settings: BrokerSettings, place: Place) -> Self {
        Self(Arc::new(Handle(Shared::new(side, settings, Way::Direct(place)))))
    }

    /// A broker whose connections are streams of one yamux session, which is given to [`session`](Self::session) as soon
    /// as there is one.
    #[must_use]
    pub fn multiplexed(side: Side, settings: BrokerSettings) -> Self {
        Self(Arc::new(Handle(Shared::new(side, settings, Way::Multiplexed))))
    }

    /// Takes charge of the streams that come in on the session, for a multiplexed broker. What comes back are the streams
    /// that the peer opened without having knocked: on a plugin they are main connections; on a host there are none, and
    /// such a stream is reset.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn session(&self, session: yamux::Session) -> MainStreams {
        take_charge(self.shared(), session)
    }

    /// Opens a stream that is nobody's brokered connection: a main connection, by the host of a plugin that multiplexes.
    /// It is not secured yet.
    ///
    /// It keeps out of the way of dialers, so that neither is taken for the other.
    ///
    /// # Errors
    /// [`Unreachable`] when there is no session, at the latest after the [patience](BrokerSettings::patience).
    ///
    /// # Cancel safety
    /// Dropping the future opens nothing, or a stream that is closed at once.
    pub async fn open_main_stream(&self) -> Result<Stream, Unreachable> {
        dial::open_main(self.shared()).await
    }

    /// The services that a plugin adds to those of its main server, so that its host can [`attach`](Self::attach).
    ///
    /// Every stream that a host opens makes the broker available to it. When one ends, nothing that is served ends, but
    /// what waited for an answer fails.
    ///
    /// # Protocol
    /// `plugin.GRPCBroker`. Differs: the broker of a Go plugin is dead once its first stream has ended.
    #[must_use]
    pub fn services(&self) -> Services {
        link::services(self.shared())
    }

    /// Opens the stream to the plugin's broker on the host's main channel. The future ends when the stream has ended or
    /// the broker has closed. It is to be spawned: a Go plugin answers nothing at all until it has something to say. It
    /// does not count as a clone of the broker.
    ///
    /// A plugin without a broker ends it at once, and makes everything that is served or dialled fail at once.
    ///
    /// Returns how it ended. After [`Detached::Lost`] it can be attached again: what is served is announced anew, and what
    /// waits for the stream goes on. A broker of rpcplugin takes any number of streams; that of a Go plugin is closed for
    /// good when its first one ends, and says so, as [`Detached::PeerClosed`], when it is sent something.
    ///
    /// # Cancel safety
    /// Dropping the future ends the stream. It can be attached again.
    pub fn attach(&self, channel: PluginChannel) -> impl Future<Output = Detached> + Send + use<> {
        link::attach(Arc::clone(self.shared()), channel)
    }

    /// An id that this side has not used yet: 1, 2, 3 and so on, or from a number at random if it has
    /// [attached](crate::Arrival::Attached). Each side counts its own.
    #[must_use]
    pub fn next_id(&self) -> ServiceId {
        self.shared().next_id()
    }

    /// Serves under a fresh id. The peer may dial it as soon as this returns.
    ///
    /// # Errors
    /// [`ServeError::Unreachable`] when the peer cannot be told, at the latest after the
    /// [patience](BrokerSettings::patience); the other variants when there is no place to listen.
    ///
    /// # Cancel safety
    /// Dropping the future serves nothing.
    pub async fn serve(&self, services: Services) -> Result<Brokered, ServeError> {
        Ok(serve::serve(serve::listen(self.shared(), None).await?, services))
    }

    /// Serves under an id that both sides know beforehand. Such ids are best taken from 2³¹ upwards: they are never
    /// counted, and their addresses wait for a dialer as long as they have to.
    ///
    /// # Errors
    /// As [`serve`](Self::serve), and [`ServeError::InUse`] while this side serves something under the same id.
    ///
    /// # Cancel safety
    /// Dropping the future serves nothing.
    pub async fn serve_at(&self, id: ServiceId, services: Services) -> Result<Brokered, ServeError> {
        Ok(serve::serve(serve::listen(self.shared(), Some(id)).await?, services))
    }

    /// Serves under [`HOST_SERVICES`] what a host lets its plugin call. Unlike [`serve_at`](Self::serve_at) it waits
    /// for nobody: a plugin is told as soon as there is a stream to it.
    ///
    /// # Errors
    /// [`ServeError::InUse`] if something is offered already; no error says that the peer cannot be told.
    ///
    /// # Cancel safety
    /// Dropping the future serves nothing.
    pub async fn offer(&self, services: Services) -> Result<Brokered, ServeError> {
        Ok(serve::serve(serve::listen_unheard(self.shared(), Some(HOST_SERVICES)).await?, services))
    }

    /// Says that this host lets its plugin call nothing under [`HOST_SERVICES`], so that a plugin which calls them fails at
    /// once instead of waiting. What is [offered](Self::offer) later is offered all the same.
    ///
    /// # Protocol
    /// A plugin that is not rpcplugin hears of it only when it knocks for the number, as a refusal. A host that is not
    /// rpcplugin says no such thing: there the plugin waits.
    pub fn offer_nothing(&self) {
        self.shared().change(|state| state.router.offer_nothing());
    }

    /// Takes in connections under a fresh id as bare streams, for another protocol than gRPC.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    ///
    /// # Cancel safety
    /// Dropping the future gives the id back.
    pub async fn listen(&self) -> Result<Incoming, ServeError> {
        serve::listen(self.shared(), None).await
    }

    /// Takes in connections under a fixed id as bare streams, for another protocol than gRPC.
    ///
    /// # Errors
    /// As [`serve_at`](Self::serve_at).
    ///
    /// # Cancel safety
    /// Dropping the future gives the id back.
    pub async fn listen_at(&self, id: ServiceId) -> Result<Incoming, ServeError> {
        serve::listen(self.shared(), Some(id)).await
    }

    /// Opens a channel to what the peer serves under `id`, and waits for the peer to serve it for as long as the
    /// [patience](BrokerSettings::patience) lasts.
    ///
    /// The same id can be dialled again, and a channel whose connection broke makes another with its next call:
    /// multiplexed by knocking again, else by dialling the same address.
    ///
    /// Multiplexed, dialers knock at the same time if the peer is rpcplugin too. With any other, such as one built with
    /// Go, they take turns: one that waits for the peer makes others wait, but none longer than its patience; its own answer it
    /// awaits with fresh patience.
    ///
    /// # Errors
    /// [`DialError`] tells who is at fault.
    ///
    /// # Cancel safety
    /// Dropping the future gives up; the id can be dialled again.
    ///
    /// # Protocol
    /// go-plugin `grpc_broker.go` `Dial`. Differs: without multiplexing a Go peer can dial an id once.
    pub async fn dial(&self, id: ServiceId) -> Result<PluginChannel, DialError> {
        dial::channel(self.shared(), id).await
    }

    /// Opens a bare stream to what the peer serves under `id`, for another protocol than gRPC.
    ///
    /// # Errors
    /// As [`dial`](Self::dial).
    ///
    /// # Cancel safety
    /// As [`dial`](Self::dial).
    pub async fn dial_stream(&self, id: ServiceId) -> Result<SecureStream, DialError> {
        dial::open(self.shared(), id).await.map(|(stream, _)| stream)
    }

    /// The channel to the services that the host offers to every plugin under [`HOST_SERVICES`]. It is opened with its first
    /// call, reopened when it breaks, and the same for all callers.
    ///
    /// A host of rpcplugin that [offers nothing](Self::offer_nothing), which is one without `Host::callbacks`, makes its calls
    /// fail at once with FAILED_PRECONDITION. Any other that offers nothing makes them fail with UNAVAILABLE after the
    /// [patience](BrokerSettings::patience), since it may yet serve the number. Multiplexed, what was refused once stays
    /// refused on this channel.
    #[must_use]
    pub fn host_channel(&self) -> PluginChannel {
        let shared = self.shared();
        shared.host_channel.get_or_init(|| lazy_channel(shared, HOST_SERVICES)).clone()
    }

    /// Which side this is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.shared().side
    }

    /// Closes the broker: everything served stops, with the [grace](BrokerSettings::grace) that it has, whoever serves or
    /// dials fails, and the streams to the peer end. Channels that were dialled go on as long as the peer serves them.
    pub fn close(&self) {
        self.shared().closed.cancel();
    }

    /// Waits until the broker has [closed](Self::close) and nothing of it is left: the calls to everything it served have
    /// ended or, after the [grace](BrokerSettings::grace), been cut. Multiplexed, it then ends the session, main connections
    /// included, and returns when all that was written to it has left, after a second at the latest.
    ///
    /// A plugin awaits this before its runtime ends, which would cut them at once.
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
            .field("side", &self.side())
            .field("closed", &self.shared().closed.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.closed.cancel();
    }
}
