//! Dialling an id: streams, and channels that dial again when their connection breaks.

mod direct;
mod multiplexed;

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use rpcplugin_core::{Endpoint, ServiceId};
use rpcplugin_transport::{
    Listen, SecureError, SecureStream, Security, Services, Stream,
    http2::{self, ChannelError, Connect, PluginChannel},
};
use tonic::Code;
use tracing::{Instrument as _, Span, field::Empty};

use crate::{
    error::{DialError, Unreachable},
    ids::HOST_SERVICES,
    shared::{Mode, Shared, State},
};

/// Opens a channel to `id`.
pub(crate) async fn channel(shared: &Arc<Shared>, id: ServiceId) -> Result<PluginChannel, DialError> {
    let (first, endpoint) = open_with_address(shared, id).await?;
    let connect = Redial { shared: Arc::clone(shared), id, endpoint, first: Mutex::new(Some(first)) };
    Ok(http2::connect(connect, &shared.settings.http2).await?)
}

/// Makes a channel that dials `id` with its first call, and again when its connection has broken.
pub(crate) fn lazy_channel(shared: &Arc<Shared>, id: ServiceId) -> PluginChannel {
    http2::connect_lazy(LazyDial { shared: Arc::downgrade(shared), id }, &shared.settings.http2)
}

/// Opens a secured stream to `id`.
pub(crate) async fn open(shared: &Arc<Shared>, id: ServiceId) -> Result<SecureStream, DialError> {
    open_with_address(shared, id).await.map(|(stream, _)| stream)
}

/// Opens a main connection in multiplexed mode. It is not secured yet.
pub(crate) async fn open_main(shared: &Arc<Shared>) -> Result<Stream, Unreachable> {
    multiplexed::open_main(shared).await
}

/// Opens a secured stream to `id`. In direct mode also returns its address.
async fn open_with_address(
    shared: &Arc<Shared>,
    id: ServiceId,
) -> Result<(SecureStream, Option<Endpoint>), DialError> {
    let opening = async {
        let opened = match &shared.mode {
            Mode::Direct(_) => {
                direct::open(shared, id).await.map(|(stream, endpoint)| (stream, Some(endpoint)))
            }
            Mode::Multiplexed => multiplexed::open(shared, id).await.map(|stream| (stream, None)),
        };
        match &opened {
            Ok(_) => tracing::debug!("brokered connection opened"),
            Err(error) => {
                Span::current().record("error", tracing::field::display(error));
            }
        }
        opened
    };
    let plugin_span = shared.span();
    let span = tracing::debug_span!(parent: &plugin_span, "broker", service.id = %id, error = Empty);
    opening.instrument(span).instrument(plugin_span).await
}

/// The first connection of a channel, and how to make the next.
struct Redial {
    shared: Arc<Shared>,
    id: ServiceId,
    /// In direct mode, the address for every connection of the channel.
    endpoint: Option<Endpoint>,
    first: Mutex<Option<SecureStream>>,
}

impl Connect for Redial {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (first, &self.endpoint) {
            (Some(stream), _) => Ok(stream),
            (None, Some(endpoint)) => direct::connect(&self.shared, endpoint).await,
            (None, None) => open(&self.shared, self.id).await.map_err(as_channel_error),
        }
    }
}

/// An id that is dialled with the first call.
struct LazyDial {
    /// Weak, because the broker owns such a channel.
    shared: Weak<Shared>,
    id: ServiceId,
}

impl Connect for LazyDial {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let opened = match self.shared.upgrade() {
            Some(shared) => match open(&shared, self.id).await {
                Err(DialError::NoHostServices) => return Ok(refusing_stream(shared).await?),
                opened => opened,
            },
            None => Err(Unreachable::Closed.into()),
        };
        opened.map_err(as_channel_error)
    }
}

/// Returns a stream to a server that answers every call with FAILED_PRECONDITION. Without it the calls would fail with
/// UNAVAILABLE, the one status of a channel without a connection.
///
/// In direct mode the stream ends when the host serves [`HOST_SERVICES`] after all. In multiplexed mode this side does not
/// learn of that.
async fn refusing_stream(shared: Arc<Shared>) -> Result<SecureStream, SecureError> {
    let (near, far) = tokio::io::duplex(64 << 10);
    let services = Services::new().fallback(
        Code::FailedPrecondition,
        "the host has no services for its plugins: it must serve them with Host::callbacks",
    );
    let shutdown = shared.closed.child_token();
    let mut serving = http2::Serving::new(services, Security::Plain, shutdown.clone());
    serving.grace = Duration::ZERO;
    let server = http2::serve(SingleStream(Some(Stream::other(far))), serving);
    let watched = Arc::clone(&shared);
    let direct = matches!(shared.mode, Mode::Direct(_));
    shared.tasks.spawn(async move {
        let offered = async {
            let offered = |state: &mut State| (!state.router.is_refused(HOST_SERVICES)).then_some(());
            if direct && watched.until(offered).await.is_ok() {
                shutdown.cancel();
            }
        };
        tokio::pin!(server);
        tokio::select! {
            () = &mut server => {}
            () = offered => server.await,
        }
    });
    Security::Plain.client(Stream::other(near)).await
}

/// A listener with one stream.
struct SingleStream(Option<Stream>);

impl Listen for SingleStream {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.take()
    }
}

fn as_channel_error(error: DialError) -> ChannelError {
    match error {
        DialError::Connect(error) => error,
        other => ChannelError::Other { what: "the brokered service cannot be reached", source: other.into() },
    }
}
