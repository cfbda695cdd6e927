//! One HTTP/2 connection to a peer.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use h2::client::Builder;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    reason::named,
    wire::{Wire, WireError},
};
use crate::{
    awake::Awake,
    frames::{HeaderBlocks, HeaderLimit},
    http2::settings::{Keepalive, Lane, Settings},
    lane::{self, LaneError, LanePings},
    meter::{self, LaneCounts, Meter, Metered, PeerActivity},
    tls::SecureStream,
};

/// A connection on which calls can be made. It closes when the last clone is dropped and the last call has ended.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) wire: Wire,
    pub(super) state: Arc<ConnectionState>,
}

/// The state of a connection, also after its end.
#[derive(Debug)]
pub(super) struct ConnectionState {
    opened: Instant,
    peer: PeerActivity,
    ended: CancellationToken,
    cause: OnceLock<String>,
    /// Whether a call has been sent since the connection was polled.
    sent: AtomicBool,
    /// Whether the connection broke, or was not HTTP/2.
    broke: AtomicBool,
    /// Whether the peer ended the connection without an error after it had been open for a while. Another connection is
    /// worth trying then.
    ended_by_peer: AtomicBool,
}

impl Connection {
    /// Starts HTTP/2 on a stream.
    ///
    /// Must be called within a tokio runtime, which runs the connection.
    pub(super) async fn open(stream: SecureStream, settings: &Settings) -> Result<Self, WireError> {
        let meter = settings.meter.clone().unwrap_or_default();
        if settings.lane == Lane::Used {
            return Self::open_lane(stream, settings, &meter).await.map_err(WireError::Lane);
        }
        let (stream, peer) = meter::client(Awake::new(stream), &meter);
        let headers = HeaderLimit::new(settings.max_headers);
        let stream = HeaderBlocks::client(stream, settings.max_frame, headers);
        let (send, mut connection) = builder(settings).handshake(stream).await.map_err(WireError::Http2)?;
        let pings =
            settings.keepalive.and_then(|keepalive| Some((keepalive, Pings::Http2(connection.ping_pong()?))));
        let state = ConnectionState::new(peer);
        let known = Arc::clone(&state);
        let ending = async move { batched(connection, &known).await.map_err(WireError::Http2) };
        tokio::spawn(run(ending, pings, settings.peer_exit.clone(), Arc::clone(&state)));
        Ok(Self { wire: Wire::Http2(send), state })
    }

    /// Starts the lane on a stream.
    async fn open_lane(stream: SecureStream, settings: &Settings, meter: &Meter) -> Result<Self, LaneError> {
        let counts = LaneCounts::new(meter);
        let peer = counts.activity();
        let (client, connection) = lane::open(Awake::new(stream), settings.lane_limits(), counts).await?;
        let pings = settings.keepalive.map(|keepalive| (keepalive, Pings::Lane(connection.pings())));
        let ending = async move { connection.await.map_err(WireError::Lane) };
        let state = ConnectionState::new(peer);
        tokio::spawn(run(ending, pings, settings.peer_exit.clone(), Arc::clone(&state)));
        Ok(Self { wire: Wire::Lane(client), state })
    }
}

impl ConnectionState {
    fn new(peer: PeerActivity) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            peer,
            ended: CancellationToken::new(),
            cause: OnceLock::new(),
            sent: AtomicBool::new(false),
            broke: AtomicBool::new(false),
            ended_by_peer: AtomicBool::new(false),
        })
    }

    /// Takes note that a call is being sent.
    pub(super) fn sends(&self) {
        self.sent.store(true, Relaxed);
    }

    /// Takes note of an error after which the connection takes no calls.
    pub(super) fn note_error(&self, error: &WireError) {
        if error.is_go_away() && error.is_remote() {
            // A peer that sends GOAWAY at once would send it again on the next connection.
            if error.reason() == Some(h2::Reason::NO_ERROR) && self.opened.elapsed() > AT_ONCE {
                self.ended_by_peer.store(true, Relaxed);
            }
        } else {
            self.broke.store(true, Relaxed);
        }
    }

    /// Whether the connection broke early and the peer has answered no call on it.
    pub(super) fn broke_unused(&self) -> bool {
        let broke = self.peer.has_hung_up() || self.broke.load(Relaxed);
        broke
            && !self.ended_by_peer.load(Relaxed)
            && !self.peer.has_responded()
            && self.opened.elapsed() < SHORT_LIVED
    }

    /// Whether the peer has closed the connection, or the connection broke.
    pub(super) fn has_hung_up(&self) -> bool {
        self.peer.has_hung_up()
    }

    /// Waits for a moment until the connection has ended. Returns whether it has, and the cause if it is known.
    pub(super) async fn ended(&self) -> (bool, Option<&str>) {
        let ended = timeout(END_NOTICED, self.ended.cancelled()).await.is_ok();
        (ended, self.cause.get().map(String::as_str))
    }
}

/// If a connection breaks earlier than this and no call was answered on it, no other connection is opened at once.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// A connection that the peer ends earlier than this was never usable.
const AT_ONCE: Duration = Duration::from_millis(100);

/// How long after the first failed call the end of the connection is noticed. Both happen in one poll of the
/// connection's task.
const END_NOTICED: Duration = Duration::from_millis(100);

fn builder(settings: &Settings) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_frame_size(settings.max_frame)
        .max_header_list_size(HeaderLimit::new(settings.max_headers).for_stack())
        .max_send_buffer_size(SEND_BUFFER)
        .initial_max_send_streams(INITIAL_STREAMS)
        .enable_push(false)
        // Frames that the peer still sends for cancelled calls must not end the connection. See `serve`.
        .max_local_error_reset_streams(None);
    builder
}

/// How many bytes of its messages a call hands over before they are written.
const SEND_BUFFER: usize = 1 << 20;

/// How many calls may be made before the peer has announced its limit. HTTP/2 recommends that peers allow at least so many.
const INITIAL_STREAMS: usize = 100;

/// Runs a connection to its end.
async fn run(
    connection: impl Future<Output = Result<(), WireError>>,
    pings: Option<(Keepalive, Pings)>,
    peer_exit: Option<CancellationToken>,
    state: Arc<ConnectionState>,
) {
    let mut connection = Box::pin(connection);
    let cause = tokio::select! {
        biased;
        ended = &mut connection => ended.err().map(|error| named(&error)),
        limit = unanswered_ping(pings) => {
            Some(format!("the peer did not answer a ping within {} s", limit.as_secs_f32()))
        }
        // Last: what has arrived is read first.
        () = outlived(peer_exit) => Some("the process of the peer has exited".to_owned()),
    };
    if let Some(cause) = cause {
        tracing::debug!(error = cause, "a connection failed");
        let _ = state.cause.set(cause);
    }
    // This fails the calls that are still in flight.
    drop(connection);
    state.ended.cancel();
}

/// Drives a connection. When several responses have arrived together and a call is sent, the tasks that are ready to run go
/// first, because those of the other responses often send calls too. All these calls are one write then.
async fn batched(
    mut connection: h2::client::Connection<HeaderBlocks<Metered<Awake<SecureStream>>>, Bytes>,
    state: &ConnectionState,
) -> Result<(), h2::Error> {
    let mut several = false;
    poll_fn(|cx| {
        if state.sent.swap(false, Relaxed) && std::mem::take(&mut several) {
            // The task goes behind the others, once.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = state.peer.messages();
        let polled = Pin::new(&mut connection).poll(cx);
        several = state.peer.messages() > before + 1;
        polled
    })
    .await
}

/// Sends pings on a connection.
enum Pings {
    Http2(h2::PingPong),
    Lane(LanePings),
}

impl Pings {
    /// Waits until the peer has answered a ping. Never completes if the connection fails, because it reports its own error.
    async fn ping(&mut self) {
        match self {
            Self::Http2(pings) => {
                if pings.ping(h2::Ping::opaque()).await.is_err() {
                    std::future::pending().await
                }
            }
            Self::Lane(pings) => pings.ping().await,
        }
    }
}

/// Completes with the timeout when the peer does not answer a ping. Never completes without pings.
async fn unanswered_ping(pings: Option<(Keepalive, Pings)>) -> Duration {
    let Some((Keepalive { interval, timeout: limit }, mut pings)) = pings else {
        return std::future::pending().await;
    };
    loop {
        sleep(interval).await;
        if timeout(limit, pings.ping()).await.is_err() {
            return limit;
        }
    }
}

/// Completes when the connection has outlived the process of the peer for a moment. Never completes if the exit is not known.
async fn outlived(peer_exit: Option<CancellationToken>) {
    match peer_exit {
        Some(exit) => exit.cancelled_owned().await,
        None => std::future::pending().await,
    }
    sleep(LAST_BYTES).await;
}

/// How long the last bytes of a process may take to arrive. A port-forward or an ssh channel may still carry some.
const LAST_BYTES: Duration = Duration::from_millis(500);

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("state", &self.state).finish_non_exhaustive()
    }
}
