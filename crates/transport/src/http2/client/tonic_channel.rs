//! tonic's own channel over the streams of a [`PluginChannel`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    task,
    time::Duration,
};

use http::{HeaderMap, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use super::{
    channel::{Choose, PluginChannel, Target},
    connect::ChannelError,
    reconnect::OpenStream,
};
use crate::{
    awake::Awake,
    frames::{HeaderBlocks, HeaderLimit},
    http2::settings::{Keepalive, Settings},
    meter::{self, Meter, Metered, PeerActivity},
    tls::SecureStream,
};

impl PluginChannel {
    /// Returns tonic's own channel to the same peer, for code that takes no other channel. It opens a connection of its
    /// own with its first call.
    ///
    /// It has none of the differences that are listed [above](Self). Its clients panic at a status with details that
    /// are not base64, and its HTTP/2 errors depend on the features of tonic. Its calls do not carry the headers of
    /// [`with_header`](Self::with_header).
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    #[must_use]
    pub fn tonic_channel(&self) -> Channel {
        match &self.target {
            Target::Peer(peer) => {
                let connection = Arc::clone(&peer.connection);
                lazy(move || connection.open_stream(), peer.connection.settings())
            }
            Target::Chosen(choose) => following(Arc::clone(choose)),
        }
    }
}

/// Returns a channel that opens its stream with the first call.
fn lazy(open: impl Fn() -> OpenStream + Send + 'static, settings: &Settings) -> Channel {
    let meter = settings.meter.clone().unwrap_or_default();
    endpoint(settings).connect_with_connector_lazy(Connector {
        open,
        meter,
        max_frame: settings.max_frame,
        headers: HeaderLimit::new(settings.max_headers),
        last: Arc::default(),
    })
}

/// Returns a channel for whose streams `choose` chooses the peer.
fn following(choose: Arc<dyn Choose>) -> Channel {
    let open = move || -> OpenStream {
        let choose = Arc::clone(&choose);
        Box::pin(async move {
            let failed = |status: tonic::Status| ChannelError::Other {
                what: "no plugin is ready",
                source: status.into(),
            };
            let channel = match choose.ready() {
                Some(ready) => ready,
                None => choose.wait(None).await.map_err(failed)?,
            };
            let (peer, _) = channel.peer(None, &mut HeaderMap::new()).await.map_err(failed)?;
            peer.connection.open_stream().await
        })
    };
    lazy(open, &Settings::default())
}

fn endpoint(settings: &Settings) -> Endpoint {
    // The authority that Go hosts send under TLS. Servers ignore it.
    let endpoint = Endpoint::from_static("http://localhost")
        .initial_stream_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .http2_max_header_list_size(HeaderLimit::new(settings.max_headers).for_stack())
        .max_frame_size(Some(settings.max_frame))
        .connect_timeout(settings.handshake_timeout)
        .http2_max_local_error_reset_streams(None);
    match settings.keepalive {
        None => endpoint,
        Some(Keepalive { interval, timeout }) => endpoint
            .http2_keep_alive_interval(interval)
            .keep_alive_timeout(timeout)
            .keep_alive_while_idle(true),
    }
}

/// Opens streams for tonic.
struct Connector<F> {
    open: F,
    meter: Meter,
    max_frame: u32,
    headers: HeaderLimit,
    last: Arc<Last>,
}

/// The time at which the last stream was opened, and what its peer has done.
#[derive(Default)]
struct Last(Mutex<Option<(Instant, PeerActivity)>>);

impl Last {
    fn set(&self, peer: PeerActivity) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), peer));
    }

    /// Whether the last stream has just ended without a response. The stream is forgotten, so that the next call tries
    /// again.
    fn take_broken_unused(&self) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.is_some_and(|(since, peer)| since.elapsed() < SHORT_LIVED && !peer.has_responded())
    }
}

/// If a stream ends earlier than this and no call was answered on it, no other stream is opened.
const SHORT_LIVED: Duration = Duration::from_secs(1);

impl<F: Fn() -> OpenStream> Service<Uri> for Connector<F> {
    type Response = TokioIo<HeaderBlocks<Metered<Awake<SecureStream>>>>;
    type Error = ChannelError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, ChannelError>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), ChannelError>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        // tonic opens another stream as soon as a stream breaks without a call on it. If the peer hangs up at once,
        // tonic would repeat this without end, and the call that waits for the stream would not complete.
        if self.last.take_broken_unused() {
            return Box::pin(async { Err(ChannelError::HangsUp) });
        }
        let (max_frame, headers) = (self.max_frame, self.headers);
        let (stream, meter, last) = ((self.open)(), self.meter.clone(), Arc::clone(&self.last));
        Box::pin(async move {
            let (stream, peer) = meter::client(Awake::new(stream.await?), &meter);
            last.set(peer);
            Ok(TokioIo::new(HeaderBlocks::client(stream, max_frame, headers)))
        })
    }
}
