//! One HTTP/2 connection to a peer.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    http2::{
        Keepalive, Settings,
        blocks::{Blocks, HeaderLimit},
        broken::named,
    },
    meter::{Metered, Outcome},
    stream::SecureStream,
};

/// A connection on which calls can be made. It closes when the last clone is gone and the last call has ended.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) send: SendRequest<Bytes>,
    pub(super) fate: Arc<Fate>,
}

/// What has become of a connection.
#[derive(Debug)]
pub(super) struct Fate {
    opened: Instant,
    outcome: Outcome,
    over: CancellationToken,
    why: OnceLock<String>,
    /// Whether it broke, or was no HTTP/2.
    broke: AtomicBool,
    /// Whether the peer said, after a while, that it takes no more calls. That is no reason not to open another connection.
    ended_by_peer: AtomicBool,
}

impl Connection {
    /// Says the first words upon a stream.
    ///
    /// Must be called within a tokio runtime, which runs the connection.
    pub(super) async fn open(stream: SecureStream, settings: &Settings) -> Result<Self, h2::Error> {
        let meter = settings.meter.clone().unwrap_or_default();
        let (stream, outcome) = Metered::client(stream, &meter);
        let headers = HeaderLimit::new(settings.max_headers);
        let stream = Blocks::client(stream, settings.max_frame, headers);
        let (send, connection) = builder(settings).handshake(stream).await?;
        let fate = Arc::new(Fate {
            opened: Instant::now(),
            outcome,
            over: CancellationToken::new(),
            why: OnceLock::new(),
            broke: AtomicBool::new(false),
            ended_by_peer: AtomicBool::new(false),
        });
        tokio::spawn(run(connection, settings.keepalive, Arc::clone(&fate)));
        Ok(Self { send, fate })
    }
}

impl Fate {
    /// Takes note of an error with which the connection takes no more calls.
    pub(super) fn failed(&self, error: &h2::Error) {
        if error.is_go_away() && error.is_remote() {
            // One that says so as soon as it is connected to would say so again.
            if error.reason() == Some(h2::Reason::NO_ERROR) && self.opened.elapsed() > AT_ONCE {
                self.ended_by_peer.store(true, Relaxed);
            }
        } else {
            self.broke.store(true, Relaxed);
        }
    }

    /// Whether the connection broke early and without the peer having answered a call.
    pub(super) fn came_to_nothing(&self) -> bool {
        let broke = self.outcome.was_hung_up() || self.broke.load(Relaxed);
        broke
            && !self.ended_by_peer.load(Relaxed)
            && !self.outcome.was_answered()
            && self.opened.elapsed() < SHORT_LIVED
    }

    /// Whether the peer has closed it, or it broke.
    pub(super) fn was_hung_up(&self) -> bool {
        self.outcome.was_hung_up()
    }

    /// Waits for a moment until the connection has come to its end. Whether it has, and why if that is known.
    pub(super) async fn end(&self) -> (bool, Option<&str>) {
        let over = timeout(NOTICED, self.over.cancelled()).await.is_ok();
        (over, self.why.get().map(String::as_str))
    }
}

/// A connection that broke earlier than this, and on which no call was answered, is not worth another at once.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// A connection whose peer ends it earlier than this has not been in order for any time.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Within which time of its first failing call a connection is seen to be over: both are of one turn of its task.
const NOTICED: Duration = Duration::from_millis(100);

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
        // What the peer still sends on calls that were cancelled is no reason to hang up; see `serve`.
        .max_local_error_reset_streams(None);
    builder
}

/// How much of its messages a call hands over before they are written.
const SEND_BUFFER: usize = 1 << 20;

/// How many calls may be made before the peer has said how many it takes: what HTTP/2 recommends that peers take at least.
const INITIAL_STREAMS: usize = 100;

/// Runs a connection to its end.
async fn run(
    mut connection: h2::client::Connection<Blocks<Metered<SecureStream>>, Bytes>,
    keepalive: Option<Keepalive>,
    fate: Arc<Fate>,
) {
    let pings = keepalive.and_then(|keepalive| Some((keepalive, connection.ping_pong()?)));
    let why = tokio::select! {
        biased;
        ended = &mut connection => ended.err().map(|error| named(&error)),
        late = unanswered_ping(pings) => Some(format!("the peer did not answer a ping within {} s", late.as_secs_f32())),
    };
    if let Some(why) = why {
        tracing::debug!(error = why, "a connection failed");
        let _ = fate.why.set(why);
    }
    // Calls that are under way hear of it here at the latest.
    drop(connection);
    fate.over.cancel();
}

/// Resolves with how long the peer had when it does not answer a ping; never, without pings.
async fn unanswered_ping(pings: Option<(Keepalive, h2::PingPong)>) -> Duration {
    let Some((Keepalive { interval, timeout: limit }, mut pings)) = pings else {
        return std::future::pending().await;
    };
    loop {
        sleep(interval).await;
        match timeout(limit, pings.ping(h2::Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection itself says more.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return limit,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("fate", &self.fate).finish_non_exhaustive()
    }
}
