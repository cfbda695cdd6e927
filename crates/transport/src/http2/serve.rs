//! Serving gRPC on incoming streams.

use std::{
    convert::Infallible,
    future::{poll_fn, ready as ready_now},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, rt::Executor, server::conn::http2, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};
use tracing::{Instrument as _, Span};

use crate::{
    http2::{
        Gathered, Settings,
        answer::Answer,
        blocks::{Blocks, HeaderLimit},
        deadline::deadline,
        linger::Lingering,
    },
    listener::Listen,
    meter::{Greeted, Metered},
    newcomers::Newcomer,
    security::Security,
    services::Services,
    stream::{SecureStream, Stream},
};

/// What is served, to whom, and when it ends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Serving {
    /// The services.
    pub services: Services,
    /// Who may call.
    pub security: Security,
    /// How much may be under way.
    pub settings: Settings,
    /// Fired to end: no further connection is accepted, and calls that are under way go on for at most `grace`.
    pub shutdown: CancellationToken,
    /// How long calls may go on after `shutdown`; then they are cut.
    pub grace: Duration,
}

impl Serving {
    /// These services under this security, until `shutdown`.
    #[must_use]
    pub fn new(services: Services, security: Security, shutdown: CancellationToken) -> Self {
        Self { services, security, settings: Settings::default(), shutdown, grace: Duration::from_secs(1) }
    }
}

/// Serves what comes in on `listener` until it ends or the token fires, then drains.
///
/// When this returns, no connection is left. A connection that fails is its peer's trouble: it is logged at debug. One whose
/// peer has not said the first words of HTTP/2 within [`Settings::handshake_timeout`] is closed, and so is one whose peer has
/// not said them by the end. The oldest connection on which nothing was called makes room where file descriptors run out, and
/// where those whose peers say nothing hold half of them: see [`Newcomer`].
///
/// # Cancel safety
/// Dropping the future cuts every connection at once.
pub async fn serve(mut listener: impl Listen, serving: Serving) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            () = serving.shutdown.cancelled() => break,
            // Reaps what has ended, so that the set does not grow with the connections of a lifetime.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            stream = listener.accept() => stream,
        };
        let Some(stream) = stream else { break };
        let serving = serving.clone();
        let newcomer = Newcomer::new(&stream);
        let kept = newcomer.clone();
        let serving_connection = async move {
            if let Err(error) = connection(stream, &serving, &kept).await {
                // A peer that has asked for the end hangs up without waiting for our goodbye.
                if serving.shutdown.is_cancelled() {
                    tracing::trace!(error = &*error, "a connection was cut at the end");
                } else {
                    tracing::debug!(error = &*error, "a connection failed");
                }
            }
        };
        newcomer.closes_with(connections.spawn(serving_connection.in_current_span()));
    }
    // Closes the socket and removes its file before the drain: nobody else may come in.
    drop(listener);
    // A listener that has come to its end leaves its connections to run theirs.
    while connections.join_next().await.is_some() {}
}

/// One connection, from its first byte to its last.
async fn connection(
    stream: Stream,
    serving: &Serving,
    newcomer: &Newcomer,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let connect = tracing::debug_span!("connect", peer.addr = stream.peer().map(tracing::field::display));
    let greeting = async {
        let stream = serving.security.server(stream).instrument(connect).await?;
        let (connection, greeted) = http_connection(stream, serving, newcomer);
        let mut connection = Box::pin(connection);
        // HTTP/2 has no deadline for a peer that says nothing, and would keep it for ever.
        let ended = poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if greeted.is_true() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match ended.await {
            Some(done) => done.map(|()| None).map_err(Box::from),
            None => Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Some(connection)),
        }
    };
    let greeted = tokio::select! {
        greeted = timeout(serving.settings.handshake_timeout, greeting) => greeted??,
        () = serving.shutdown.cancelled() => return Ok(()),
    };
    // Probes connect and hang up.
    let Some(mut connection) = greeted else { return Ok(()) };
    newcomer.greeted();
    tokio::select! {
        done = connection.as_mut() => return Ok(done?),
        () = serving.shutdown.cancelled() => {}
    }
    // Tells the peer to open no more calls, and answers those that are open.
    connection.as_mut().graceful_shutdown();
    match timeout(serving.grace, connection).await {
        Ok(done) => Ok(done?),
        Err(_) => Err("calls were still under way after the grace period and have been cut".into()),
    }
}

fn http_connection(
    stream: SecureStream,
    serving: &Serving,
    newcomer: &Newcomer,
) -> (Connection, Arc<Greeted>) {
    let settings = &serving.settings;
    let (stream, greeted) = Metered::server(stream, settings.meter.as_ref());
    let headers = HeaderLimit::new(settings.max_headers);
    let stream = Blocks::server(stream, settings.max_frame, headers);
    let connection = http2::Builder::new(WithinSpan(Span::current()))
        .timer(TokioTimer::new())
        .initial_stream_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_frame_size(settings.max_frame)
        .max_header_list_size(headers.for_stack())
        // gRPC has its own ways to bound calls; hyper's 200 would make the 201st wait without a word.
        .max_concurrent_streams(None)
        // What is on its way to a call that has been refused, and calls that are cancelled before they were looked at,
        // are everyday on a busy machine. By default a thousand of the former or twenty of the latter end the whole
        // connection, and with it the plugin; that is for servers whose clients are strangers.
        .max_local_error_reset_streams(None)
        .max_pending_accept_reset_streams(MAX_CANCELLED)
        .auto_date_header(false)
        .serve_connection(
            TokioIo::new(Lingering::new(stream)),
            Calls { services: serving.services.clone(), headers, newcomer: newcomer.clone() },
        );
    (connection, greeted)
}

type Connection = http2::Connection<TokioIo<Lingering<Blocks<Metered<SecureStream>>>>, Calls, WithinSpan>;

/// Runs each call of a connection within the span of whoever serves it.
#[derive(Clone)]
struct WithinSpan(Span);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for WithinSpan {
    fn execute(&self, call: F) {
        tokio::spawn(call.instrument(self.0.clone()));
    }
}

/// How many calls that were cancelled before anybody looked at them may be kept until somebody does.
const MAX_CANCELLED: usize = 1 << 16;

/// The calls of one connection.
struct Calls {
    services: Services,
    headers: HeaderLimit,
    newcomer: Newcomer,
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        self.newcomer.proven();
        let deadline = deadline(request.headers());
        let (answer, limit) = match self.headers.refuse(request.uri(), request.headers()) {
            None => self.services.dispatch(request, |body, limit| Body::new(Gathered::new(body, limit))),
            Some(status) => (Box::pin(ready_now(Ok(status.into_http()))) as _, None),
        };
        Answering { answer, limit, deadline: deadline.map(|deadline| Box::pin(sleep(deadline))) }
    }
}

/// A call whose answer has not begun.
struct Answering {
    answer: Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>,
    /// Of what its messages may be.
    limit: Option<u64>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Future for Answering {
    type Output = Result<Response<Answer>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { answer, limit, deadline } = &mut *self;
        let answer = match (answer.as_mut().poll(cx), deadline) {
            (Poll::Ready(Ok(answer)), _) => answer,
            (Poll::Pending, Some(deadline)) => {
                ready!(deadline.as_mut().poll(cx));
                Status::deadline_exceeded("the call's deadline has passed").into_http()
            }
            (Poll::Pending, None) => return Poll::Pending,
        };
        Poll::Ready(Ok(answer.map(|body| Answer::new(body, *limit))))
    }
}
