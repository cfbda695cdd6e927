//! Serves gRPC on incoming streams.

use std::{future::poll_fn, task::Poll, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::connection::Connection;
use crate::{
    http2::{presence::Presence, settings::Settings},
    meter,
    net::{Listen, PendingConnection, Stream},
    service::Services,
    tls::Security,
};

/// The services, security, limits and end of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Serving {
    /// The services.
    pub services: Services,
    /// How connections are secured.
    pub security: Security,
    /// The HTTP/2 settings of each connection.
    pub settings: Settings,
    /// Starts the shutdown: no further connection is accepted, and calls in flight go on for at most `grace`.
    pub shutdown: CancellationToken,
    /// How long calls may go on after `shutdown`. Then they are cancelled. Default: 1 s.
    pub grace: Duration,
}

impl Serving {
    /// Serves these services with this security until `shutdown`.
    #[must_use]
    pub fn new(services: Services, security: Security, shutdown: CancellationToken) -> Self {
        Self { services, security, settings: Settings::default(), shutdown, grace: Duration::from_secs(1) }
    }
}

/// Serves the streams of `listener` until it ends or the token is cancelled, then drains.
///
/// When this returns, no connection is left. A connection that fails is logged at debug. A connection is closed if its
/// peer has not sent the preface of HTTP/2 within [`Settings::handshake_timeout`], or by the time of the shutdown. If
/// file descriptors run out, or if connections without a preface hold half of them, the oldest connection without a
/// call is closed: see [`PendingConnection`].
///
/// # Cancel safety
/// Dropping the future closes every connection at once.
pub async fn serve(mut listener: impl Listen, serving: Serving) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            () = serving.shutdown.cancelled() => break,
            // Removes ended connections, so that the set does not grow without end.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            stream = listener.accept() => stream,
        };
        let Some(stream) = stream else { break };
        if let Some(silence) = serving.settings.peer_silence {
            stream.end_after_silence(silence);
        }
        let serving = serving.clone();
        let pending = PendingConnection::new(&stream);
        let kept = pending.clone();
        let serving_connection = async move {
            if let Err(error) = connection(stream, &serving, &kept).await {
                // A peer that has asked for the shutdown hangs up before the shutdown of its connection is done.
                if serving.shutdown.is_cancelled() {
                    tracing::trace!(error = &*error, "a connection was closed during the shutdown");
                } else {
                    tracing::debug!(error = &*error, "a connection failed");
                }
            }
        };
        pending.set_task(connections.spawn(serving_connection.in_current_span()));
    }
    // Closes the socket and removes its file before the drain, so that no further peer can connect.
    drop(listener);
    // When the listener has ended by itself, its connections run to their own ends.
    while connections.join_next().await.is_some() {}
}

/// Serves one connection, from its first byte to its last.
async fn connection(
    stream: Stream,
    serving: &Serving,
    pending: &PendingConnection,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let connect = tracing::debug_span!("connect", peer.addr = stream.peer().map(tracing::field::display));
    let handshake = async {
        let stream = serving.security.server(stream).instrument(connect).await?;
        let (stream, preface) = meter::server(stream, serving.settings.meter.as_ref());
        let services = serving.services.clone();
        let mut connection = Box::pin(Connection::new(stream, &serving.settings, services, pending.clone()));
        // The HTTP/2 stack has no timeout for a peer that sends nothing.
        let ended = poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if preface.is_true() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match ended.await {
            Some(done) => done.map(|()| None).map_err(Box::from),
            None => Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Some(connection)),
        }
    };
    let connected = tokio::select! {
        connected = timeout(serving.settings.handshake_timeout, handshake) => connected??,
        () = serving.shutdown.cancelled() => return Ok(()),
    };
    // Probes connect and hang up.
    let Some(mut connection) = connected else { return Ok(()) };
    pending.connected();
    let _present = serving.settings.presence.as_ref().map(Presence::connected);
    tokio::select! {
        done = connection.as_mut() => return Ok(done?),
        () = serving.shutdown.cancelled() => {}
    }
    // Sends GOAWAY, and lets the calls in flight end.
    connection.shut_down();
    match timeout(serving.grace, connection).await {
        Ok(done) => Ok(done?),
        Err(_) => Err("calls were still in flight after the grace period and were cancelled".into()),
    }
}
