//! The channel that generated clients take.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tokio::time::Instant;
use tonic::{Status, body::Body, transport::Channel};
use tower_service::Service;

use crate::http2::{call, connect::ConnectError, link::Link, response::ResponseBody, tonic_channel};

/// A channel to a peer, for generated clients: `KvClient::new(channel)`. Cheap to clone; clones share a connection.
///
/// It opens its connection again when a call needs one and the last one broke or was ended by the peer. What differs from
/// [`tonic::transport::Channel`]:
///
/// - A call that was not sent when its connection came to its end goes out on the next one. A call that the peer says
///   it did not look at, by a GOAWAY with a lower number or by REFUSED_STREAM, is made once more. No other call is.
/// - HTTP/2 errors become the codes that gRPC has for them, with the cause in the message: a reset stream by its error code, a
///   connection that broke or cannot be opened UNAVAILABLE. CANCELLED is only what the peer or the caller cancelled. This
///   does not depend on the features with which tonic is built.
/// - A deadline that is set with a request holds until the last message of its answer: then the call is given up with
///   DEADLINE_EXCEEDED.
/// - Parts of a status that the peer wrote badly (details that are no base64, a message that is not UTF-8) are left out or
///   replaced, where tonic panics or loses the code.
/// - An answer that is no gRPC has the code that gRPC has for its HTTP status.
///
/// The channels that a host has to a plugin also [say how its process ended](Explain), if that is why a call fails.
///
/// Dropping the future of a call, or the stream of its answers, cancels the call. A stream of the caller's messages that is
/// being sent when its answer has begun goes on, unless the call has a deadline, and its last messages may be lost.
///
/// # Protocol
/// gRPC `PROTOCOL-HTTP2.md`, "Errors", and `http-grpc-status-mapping.md`. For STREAM_CLOSED and HTTP_1_1_REQUIRED, which the
/// former leaves out, grpc-go `internal/transport/http_util.go` `http2ErrConvTab`: INTERNAL.
#[derive(Clone)]
pub struct PluginChannel(Route);

/// Where calls go.
#[derive(Clone)]
enum Route {
    One(Line),
    Chosen(Arc<dyn Choose>),
}

/// The way to one peer, and what knows of its end.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) link: Arc<Link>,
    pub(super) explain: Option<Arc<dyn Explain>>,
}

/// What knows why the connections of a peer break: because its process has ended, for one.
pub trait Explain: Send + Sync + 'static {
    /// The status of a call whose connection broke or could not be opened, given the one that it would have without this. It is
    /// not asked about a stream that was reset while the connection goes on.
    ///
    /// The call waits for the future, unless its deadline passes first.
    fn explain(self: Arc<Self>, status: Status) -> Pin<Box<dyn Future<Output = Status> + Send>>;
}

/// What chooses the peer of each call: among the processes that a supervised plugin has one after another.
pub trait Choose: Send + Sync + 'static {
    /// The channel for a call that is made now, if it need not wait.
    fn ready(&self) -> Option<PluginChannel>;

    /// The channel for a call that has to wait, or the status with which it fails. `due` is the end of the call's deadline.
    fn wait(
        self: Arc<Self>,
        due: Option<Instant>,
    ) -> Pin<Box<dyn Future<Output = Result<PluginChannel, Status>> + Send>>;
}

/// The outcome of a call upon a [`PluginChannel`].
pub type CallFuture = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Status>> + Send>>;

impl PluginChannel {
    pub(super) fn upon(link: Link) -> Self {
        Self(Route::One(Line { link: Arc::new(link), explain: None }))
    }

    /// A channel whose calls each go where `choose` says.
    pub fn chosen(choose: Arc<dyn Choose>) -> Self {
        Self(Route::Chosen(choose))
    }

    /// The same channel, whose calls ask `explain` when their connection breaks.
    #[must_use]
    pub fn explained(self, explain: Arc<dyn Explain>) -> Self {
        match self.0 {
            Route::One(line) => Self(Route::One(Line { explain: Some(explain), ..line })),
            chosen @ Route::Chosen(_) => Self(chosen),
        }
    }

    /// Opens a connection unless one is open. Calls do this by themselves.
    ///
    /// # Errors
    /// As those of a call: UNAVAILABLE when no connection can be opened.
    ///
    /// # Cancel safety
    /// May be dropped; what has begun goes on for the calls that wait for it.
    pub async fn connect(&self) -> Result<(), Status> {
        let (line, _) = self.clone().line(None).await?;
        match line.link.open_connection().await {
            Ok(_) => Ok(()),
            Err(error) => Err(line.unreachable(error).await),
        }
    }

    /// tonic's own channel to the same peer, for what takes no other. It opens a connection of its own with its first call, and
    /// has nothing of what is said [above](Self): its clients panic at a status with details that are no base64, and its
    /// HTTP/2 errors depend on the features of tonic.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn tonic_channel(&self) -> Channel {
        match &self.0 {
            Route::One(line) => line.link.tonic_channel(),
            Route::Chosen(choose) => tonic_channel::following(Arc::clone(choose)),
        }
    }

    /// The way to the peer of the next call; waits until there is one. Also says whether it waited.
    pub(super) async fn line(self, due: Option<Instant>) -> Result<(Line, bool), Status> {
        let (mut channel, mut waited) = (self, false);
        loop {
            let choose = match channel.0 {
                Route::One(line) => return Ok((line, waited)),
                Route::Chosen(choose) => choose,
            };
            channel = match choose.ready() {
                Some(ready) => ready,
                None => {
                    waited = true;
                    choose.wait(due).await?
                }
            };
        }
    }
}

impl Service<Request<Body>> for PluginChannel {
    type Response = Response<ResponseBody>;
    type Error = Status;
    type Future = CallFuture;

    /// Always ready: the call itself waits until the connection has room.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> CallFuture {
        Box::pin(call::call(self.clone(), request))
    }
}

impl fmt::Debug for PluginChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginChannel").finish_non_exhaustive()
    }
}

impl Line {
    /// The status of a call for which no connection could be opened.
    pub(super) async fn unreachable(&self, error: Arc<ConnectError>) -> Status {
        let mut status = Status::unavailable(with_causes(&*error));
        status.set_source(error);
        self.explained(status).await
    }

    /// What is known of a broken connection.
    pub(super) async fn explained(&self, status: Status) -> Status {
        match &self.explain {
            Some(explain) => Arc::clone(explain).explain(status).await,
            None => status,
        }
    }
}

/// An error with its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors repeat their cause.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
