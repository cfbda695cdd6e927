//! A gRPC channel upon outgoing streams.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task,
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint as TonicEndpoint};

use crate::{
    dial::DialError,
    http2::{
        Keepalive, Settings,
        blocks::{Blocks, HeaderLimit},
    },
    meter::{Meter, Metered, Outcome},
    security::SecureError,
    stream::SecureStream,
};

/// A way to open secured streams to one peer: called for the first, and again whenever the last one broke.
pub trait Connect: Send + Sync + 'static {
    /// Opens a stream.
    fn connect(&self) -> impl Future<Output = Result<SecureStream, ConnectError>> + Send;
}

impl<C: Connect> Connect for Arc<C> {
    fn connect(&self) -> impl Future<Output = Result<SecureStream, ConnectError>> + Send {
        C::connect(self)
    }
}

/// No channel could be opened.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint does not answer.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dial(#[from] DialError),
    /// The peer is not the one that was agreed upon.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Secure(#[from] SecureError),
    /// The peer accepted the connection and then kept silent.
    #[error("the peer did not answer within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::silent_peer),
        help(
            "the peer accepts connections but does not serve them: it may be stopped, or serve something else"
        )
    )]
    Silent(Duration),
    /// The stream carries no HTTP/2.
    #[error("the peer does not speak HTTP/2")]
    #[diagnostic(
        code(rpcplugin::transport::not_http2),
        help(
            "host and plugin have to agree on TLS and on multiplexing: a peer that expects either and gets neither \
             hangs up"
        )
    )]
    NotHttp2(#[source] tonic::transport::Error),
    /// The peer hangs up as soon as it is connected to.
    #[error("the peer accepts connections and hangs up before it answers a call")]
    #[diagnostic(
        code(rpcplugin::transport::hangs_up),
        help(
            "something else than a plugin may listen there, or one that expects TLS or multiplexing and gets neither: \
             see what it writes on stderr"
        )
    )]
    HangsUp,
    /// Another way of connecting failed.
    #[error("{what}")]
    #[diagnostic(code(rpcplugin::transport::other), help("the cause says more"))]
    Other {
        /// What failed.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Opens a stream and a channel upon it. The channel opens another stream when this one breaks and a further call is
/// made.
///
/// # Errors
/// [`ConnectError`] when the stream cannot be opened or the peer speaks no HTTP/2. There is no certainty yet that the
/// peer accepts *us*: a TLS 1.3 client learns that with its first call.
///
/// # Cancel safety
/// Dropping the future closes what was opened.
pub async fn connect(connector: impl Connect, settings: &Settings) -> Result<Channel, ConnectError> {
    let deadline = settings.handshake_deadline;
    let opening = async {
        let first = connector.connect().await?;
        let connector = Connector::new(connector, Some(first), settings);
        endpoint(settings).connect_with_connector(connector).await.map_err(ConnectError::NotHttp2)
    };
    timeout(deadline, opening).await.unwrap_or(Err(ConnectError::Silent(deadline)))
}

/// A channel that opens its stream with the first call.
pub fn connect_lazy(connector: impl Connect, settings: &Settings) -> Channel {
    endpoint(settings).connect_with_connector_lazy(Connector::new(connector, None, settings))
}

fn endpoint(settings: &Settings) -> TonicEndpoint {
    // The authority that Go hosts send under TLS. No server looks at it.
    let endpoint = TonicEndpoint::from_static("http://localhost")
        .initial_stream_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .http2_max_header_list_size(HeaderLimit::new(settings.max_headers).for_stack())
        .max_frame_size(Some(settings.max_frame))
        .connect_timeout(settings.handshake_deadline)
        // What the peer still sends on calls that were cancelled is no reason to hang up; see `serve`.
        .http2_max_local_error_reset_streams(None)
        // The name in front of tonic's own.
        .user_agent(concat!("rpcplugin/", env!("CARGO_PKG_VERSION")))
        .expect("a name and a version make a header value");
    match settings.keepalive {
        None => endpoint,
        Some(Keepalive { interval, timeout }) => endpoint
            .http2_keep_alive_interval(interval)
            .keep_alive_timeout(timeout)
            .keep_alive_while_idle(true),
    }
}

/// What tonic calls for a stream.
struct Connector<C> {
    connect: Arc<C>,
    /// Opened before tonic was asked, so that a failure keeps its type.
    first: Option<SecureStream>,
    meter: Meter,
    max_frame: u32,
    headers: HeaderLimit,
    last: Arc<Last>,
}

/// When the last stream was handed out, and what has become of it.
#[derive(Default)]
struct Last(Mutex<Option<(Instant, Outcome)>>);

impl<C> Connector<C> {
    fn new(connect: C, first: Option<SecureStream>, settings: &Settings) -> Self {
        let meter = settings.meter.clone().unwrap_or_default();
        let headers = HeaderLimit::new(settings.max_headers);
        let max_frame = settings.max_frame;
        Self { connect: Arc::new(connect), first, meter, max_frame, headers, last: Arc::default() }
    }
}

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

impl<C: Connect> tower_service::Service<Uri> for Connector<C> {
    type Response = TokioIo<Blocks<Metered<SecureStream>>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), ConnectError>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let first = self.first.take();
        let connect = Arc::clone(&self.connect);
        let meter = self.meter.clone();
        let last = Arc::clone(&self.last);
        let (max_frame, headers) = (self.max_frame, self.headers);
        Box::pin(async move {
            // tonic opens another stream as soon as one breaks with no call on its way, and would go on doing so for as
            // long as a peer hangs up at once, while the call that waits for it never ends.
            if last.came_to_nothing() {
                return Err(ConnectError::HangsUp);
            }
            let stream = match first {
                Some(stream) => stream,
                None => connect.connect().await?,
            };
            let (stream, outcome) = Metered::client(stream, &meter);
            last.set(outcome);
            Ok(TokioIo::new(Blocks::client(stream, max_frame, headers)))
        })
    }
}

/// A stream that broke earlier than this, and on which no call was answered, is not worth another.
const SHORT_LIVED: Duration = Duration::from_secs(1);

impl<C> fmt::Debug for Connector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}
