//! Serves gRPC on incoming streams.

use std::{future::poll_fn, pin::Pin, task::Poll};

use tokio::{task::JoinSet, time::timeout};
use tracing::Instrument as _;

use super::{
    beginning::{Begun, beginning},
    connection::Connection,
    lane,
    serving::Serving,
};
use crate::{
    awake::Awake,
    http2::presence::Presence,
    lane::LaneServer,
    meter,
    net::{Listen, PendingConnection, Stream},
};

/// Serves the streams of `listener` until it ends or the token is cancelled, then drains.
///
/// When this returns, no connection is left. A connection that fails is logged at debug. A connection is closed if its
/// peer has not sent the preface of HTTP/2 within [`handshake_timeout`], or by the time of the shutdown. If file
/// descriptors run out, or if connections without a preface hold half of them, the oldest connection without a call is
/// closed: see [`PendingConnection`].
///
/// [`handshake_timeout`]: crate::http2::Settings::handshake_timeout
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
    let settings = &serving.settings;
    let handshake = async {
        let stream = serving.security.server(stream).instrument(connect).await?;
        let stream = match beginning(stream, settings).await? {
            Begun::Http2(stream) => stream,
            Begun::Lane(connection) => return Ok(Some(Connected::Lane(connection))),
            Begun::HungUp => return Ok(None),
        };
        let (stream, preface) = meter::server(Awake::new(stream), settings.meter.as_ref());
        let services = serving.services.clone();
        let mut connection = Box::pin(Connection::new(stream, settings, services, pending.clone()));
        // The HTTP/2 stack has no timeout for a peer that sends nothing.
        let ended = poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if preface.is_true() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match ended.await {
            Some(done) => done.map(|()| None).map_err(Box::from),
            None => Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Some(Connected::Http2(connection))),
        }
    };
    let connected = tokio::select! {
        connected = timeout(serving.settings.handshake_timeout, handshake) => connected??,
        () = serving.shutdown.cancelled() => return Ok(()),
    };
    // Probes connect and hang up.
    let Some(connected) = connected else { return Ok(()) };
    pending.connected();
    let _present = serving.settings.presence.as_ref().map(Presence::connected);
    let mut connection = match connected {
        Connected::Http2(connection) => connection,
        Connected::Lane(connection) => return lane::serve(connection, serving, pending).await,
    };
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

/// A connection whose peer has begun to speak.
enum Connected {
    Http2(Pin<Box<Connection>>),
    Lane(LaneServer),
}
