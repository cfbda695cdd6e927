//! tonic's own channel upon outgoing streams.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task,
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use crate::{
    http2::{
        Keepalive, Settings,
        blocks::{Blocks, HeaderLimit},
        channel::Choose,
        connect::ConnectError,
        link::Opening,
    },
    meter::{Meter, Metered, Outcome},
    stream::SecureStream,
};

/// A channel that opens its stream with the first call.
pub(super) fn lazy(open: impl Fn() -> Opening + Send + 'static, settings: &Settings) -> Channel {
    let meter = settings.meter.clone().unwrap_or_default();
    endpoint(settings).connect_with_connector_lazy(Connector {
        open,
        meter,
        max_frame: settings.max_frame,
        headers: HeaderLimit::new(settings.max_headers),
        last: Arc::default(),
    })
}

/// A channel whose streams each go where `choose` says.
pub(super) fn following(choose: Arc<dyn Choose>) -> Channel {
    let open = move || -> Opening {
        let choose = Arc::clone(&choose);
        Box::pin(async move {
            let failed = |status: tonic::Status| ConnectError::Other {
                what: "no plugin is ready",
                source: status.into(),
            };
            let channel = match choose.ready() {
                Some(ready) => ready,
                None => choose.wait(None).await.map_err(failed)?,
            };
            let (line, _) = channel.line(None).await.map_err(failed)?;
            line.link.stream().await
        })
    };
    lazy(open, &Settings::default())
}

fn endpoint(settings: &Settings) -> Endpoint {
    // The authority that Go hosts send under TLS. No server looks at it.
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

/// What tonic calls for a stream.
struct Connector<F> {
    open: F,
    meter: Meter,
    max_frame: u32,
    headers: HeaderLimit,
    last: Arc<Last>,
}

/// When the last stream was handed out, and what has become of it.
#[derive(Default)]
struct Last(Mutex<Option<(Instant, Outcome)>>);

impl Last {
    fn set(&self, outcome: Outcome) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), outcome));
    }

    /// Whether the last stream came to nothing just now. It is forgotten, so that the next call may try again.
    fn came_to_nothing(&self) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.is_some_and(|(since, outcome)| since.elapsed() < SHORT_LIVED && !outcome.was_answered())
    }
}

/// A stream that broke earlier than this, and on which no call was answered, is not worth another.
const SHORT_LIVED: Duration = Duration::from_secs(1);

impl<F: Fn() -> Opening> Service<Uri> for Connector<F> {
    type Response = TokioIo<Blocks<Metered<SecureStream>>>;
    type Error = ConnectError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), ConnectError>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        // tonic opens another stream as soon as one breaks with no call on its way, and would go on doing so for as long as a
        // peer hangs up at once, while the call that waits for it never ends.
        if self.last.came_to_nothing() {
            return Box::pin(async { Err(ConnectError::HangsUp) });
        }
        let (max_frame, headers) = (self.max_frame, self.headers);
        let (stream, meter, last) = ((self.open)(), self.meter.clone(), Arc::clone(&self.last));
        Box::pin(async move {
            let (stream, outcome) = Metered::client(stream.await?, &meter);
            last.set(outcome);
            Ok(TokioIo::new(Blocks::client(stream, max_frame, headers)))
        })
    }
}
