//! The channel that generated clients take.

use std::{fmt, pin::Pin, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tonic::Status;

use super::{
    peer::{Explain, Peer},
    reconnect::Reconnect,
};

/// A channel to a peer, for generated clients: `KvClient::new(channel)`. Cheap to clone: clones share a connection.
///
/// It opens a new connection when a call needs one and the last connection has ended. It differs from
/// `tonic::transport::Channel`:
///
/// - A call that was not sent before its connection ended is sent on the next connection. A call that the peer has not
///   processed, by a GOAWAY with a lower stream id or by REFUSED_STREAM, is made once more. No other call is repeated.
/// - HTTP/2 errors become gRPC's codes for them, with the cause in the message. A reset stream has the code of its
///   error. A connection that broke or cannot be opened is UNAVAILABLE. CANCELLED means that the peer or the caller
///   cancelled. This does not depend on the features with which tonic is built.
/// - The deadline of a request holds until the last message of its response. Then the call fails with DEADLINE_EXCEEDED.
/// - Malformed parts of a status (details that are not base64, a message that is not UTF-8) are removed or replaced.
///   tonic panics or loses the code.
/// - A response that is not gRPC has the code that gRPC has for its HTTP status.
///
/// The channels from a host to a plugin also [report how the plugin's process ended](Explain) if a call fails for that
/// reason.
///
/// Dropping the future of a call, or the stream of its responses, cancels the call. A stream of the caller's messages
/// continues after the response has begun, unless the call has a deadline, and its last messages may be lost.
///
/// # Protocol
/// gRPC `PROTOCOL-HTTP2.md`, "Errors", and `http-grpc-status-mapping.md`. For STREAM_CLOSED and HTTP_1_1_REQUIRED, which the
/// former leaves out, grpc-go `internal/transport/http_util.go` `http2ErrConvTab`: INTERNAL.
#[derive(Clone)]
pub struct PluginChannel {
    pub(super) target: Target,
    /// Headers of every call.
    headers: Option<Arc<HeaderMap>>,
}

/// The destination of calls.
#[derive(Clone)]
pub(super) enum Target {
    Peer(Peer),
    Chosen(Arc<dyn Choose>),
}

/// Chooses the peer of each call, for example among the successive processes of a supervised plugin.
pub trait Choose: Send + Sync + 'static {
    /// Returns the channel for a call that is made now, if the call need not wait.
    fn ready(&self) -> Option<PluginChannel>;

    /// Returns the channel for a call that must wait, or the status with which the call fails. `due` is the deadline of
    /// the call.
    fn wait(
        self: Arc<Self>,
        due: Option<Instant>,
    ) -> Pin<Box<dyn Future<Output = Result<PluginChannel, Status>> + Send>>;
}

impl PluginChannel {
    pub(super) fn over(connection: Reconnect) -> Self {
        Self::to(Target::Peer(Peer { connection: Arc::new(connection), explain: None }))
    }

    /// Returns a channel for whose calls `choose` chooses the peer.
    pub fn chosen(choose: Arc<dyn Choose>) -> Self {
        Self::to(Target::Chosen(choose))
    }

    fn to(target: Target) -> Self {
        Self { target, headers: None }
    }

    /// Returns the same channel with calls that carry this header: gRPC metadata, such as the instance that the calls are
    /// for. It replaces a header of the same name that a call has. The calls of `tonic_channel` do
    /// not carry it.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        Arc::make_mut(self.headers.get_or_insert_default()).insert(name, value);
        self
    }

    /// Returns the same channel with calls that `explain` explains when their connection breaks.
    #[must_use]
    pub fn explained(self, explain: Arc<dyn Explain>) -> Self {
        let target = match self.target {
            Target::Peer(peer) => Target::Peer(Peer { explain: Some(explain), ..peer }),
            chosen @ Target::Chosen(_) => chosen,
        };
        Self { target, ..self }
    }

    /// Opens a connection unless one is open. Calls do this by themselves.
    ///
    /// # Errors
    /// Fails as a call does: with UNAVAILABLE when no connection can be opened.
    ///
    /// # Cancel safety
    /// The future may be dropped. The connection is still opened for the calls that wait for it.
    pub async fn connect(&self) -> Result<(), Status> {
        let (peer, _) = self.clone().peer(None, &mut HeaderMap::new()).await?;
        match peer.connection.ready().await {
            Ok(_) => Ok(()),
            Err(error) => Err(peer.unreachable(error).await),
        }
    }

    /// Waits for the peer of the next call, and adds the headers of the channel to those of the call. Also returns whether
    /// this took time.
    pub(super) async fn peer(
        self,
        due: Option<Instant>,
        headers: &mut HeaderMap,
    ) -> Result<(Peer, bool), Status> {
        for (name, value) in self.headers.iter().flat_map(|own| own.iter()) {
            headers.insert(name, value.clone());
        }
        let (mut channel, mut waited) = (self, false);
        loop {
            for (name, value) in channel.headers.iter().flat_map(|own| own.iter()) {
                headers.entry(name).or_insert_with(|| value.clone());
            }
            let choose = match channel.target {
                Target::Peer(peer) => return Ok((peer, waited)),
                Target::Chosen(choose) => choose,
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

impl fmt::Debug for PluginChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginChannel").finish_non_exhaustive()
    }
}
