//! Counting what goes over connections: bytes, and gRPC messages.

mod messages;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::messages::MessageCounter;
use crate::authority::PREFACE;

/// Counts the traffic of connections. Cheap to clone: clones count together, and are read at any time.
///
/// Give it to [`http2::Settings::meter`](crate::http2::Settings::meter) of whatever opens or serves connections.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    shared: Arc<Shared>,
    kind: ConnectionKind,
}

/// What has gone over one connection, or over several.
///
/// Bytes are those of HTTP/2, before encryption and without the transport's own. A message counts when its last byte
/// has passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes that this side sent.
    pub bytes_sent: u64,
    /// Bytes that this side received.
    pub bytes_received: u64,
    /// gRPC messages that this side sent.
    pub messages_sent: u64,
    /// gRPC messages that this side received.
    pub messages_received: u64,
}

/// The traffic of one connection that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionTraffic {
    /// Which of the connections of a plugin it is.
    pub kind: ConnectionKind,
    /// What has gone over it so far.
    pub traffic: Traffic,
}

/// Which of the connections of a plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionKind {
    /// The one that the handshake agreed on.
    #[default]
    Main,
    /// A side connection of the broker.
    Brokered,
}

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<Vec<Weak<Counts>>>,
    closed: Mutex<Closed>,
}

/// What went over connections that are closed.
#[derive(Debug, Default)]
struct Closed {
    main: Traffic,
    brokered: Traffic,
}

/// The counts of one connection. Only that connection writes them.
#[derive(Debug)]
struct Counts {
    shared: Arc<Shared>,
    kind: ConnectionKind,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    messages_sent: AtomicU64,
    messages_received: AtomicU64,
    /// Whether the peer has said anything of a call.
    answered: AtomicBool,
    /// Whether the peer has closed the connection, or it broke.
    hung_up: AtomicBool,
}

/// Whether a connection that this side opened has come to anything, also when it is closed.
#[derive(Debug)]
pub(crate) struct Outcome(Arc<Counts>);

impl Outcome {
    /// Whether the peer has answered a call, if only by refusing it.
    pub(crate) fn was_answered(&self) -> bool {
        self.0.answered.load(Relaxed)
    }

    /// Whether the peer has closed the connection, or it broke.
    pub(crate) fn was_hung_up(&self) -> bool {
        self.0.hung_up.load(Relaxed)
    }
}

impl Meter {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same meter, for brokered connections.
    #[must_use]
    pub fn brokered(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), kind: ConnectionKind::Brokered }
    }

    /// Everything that was ever counted, on open connections and on closed ones.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        // Connections close under this lock, so that none is counted twice or not at all.
        let closed = self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner);
        self.connections().iter().fold(closed.main.plus(closed.brokered), |sum, open| sum.plus(open.traffic))
    }

    /// Everything that was ever counted on connections of this kind.
    #[must_use]
    pub fn traffic_of(&self, kind: ConnectionKind) -> Traffic {
        let closed = self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let open = self.connections();
        let open = open.iter().filter(|open| open.kind == kind);
        open.fold(closed.of(kind), |sum, open| sum.plus(open.traffic))
    }

    /// Whether nothing will be counted any more: no connection is open, and nobody is left who could open one.
    #[must_use]
    pub fn is_final(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    /// The connections that are open, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionTraffic> {
        let open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter()
            .filter_map(Weak::upgrade)
            .map(|counts| ConnectionTraffic { kind: counts.kind, traffic: counts.traffic() })
            .collect()
    }

    fn connection(&self) -> Arc<Counts> {
        let counts = Arc::new(Counts {
            shared: Arc::clone(&self.shared),
            kind: self.kind,
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            messages_sent: AtomicU64::new(0),
            messages_received: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            hung_up: AtomicBool::new(false),
        });
        let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(Arc::downgrade(&counts));
        counts
    }
}

impl Traffic {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            bytes_sent: self.bytes_sent + other.bytes_sent,
            bytes_received: self.bytes_received + other.bytes_received,
            messages_sent: self.messages_sent + other.messages_sent,
            messages_received: self.messages_received + other.messages_received,
        }
    }
}

impl Closed {
    fn of(&self, kind: ConnectionKind) -> Traffic {
        match kind {
            ConnectionKind::Main => self.main,
            ConnectionKind::Brokered => self.brokered,
        }
    }

    fn add(&mut self, counts: &Counts) {
        let sum = match counts.kind {
            ConnectionKind::Main => &mut self.main,
            ConnectionKind::Brokered => &mut self.brokered,
        };
        *sum = sum.plus(counts.traffic());
    }
}

impl Counts {
    fn traffic(&self) -> Traffic {
        Traffic {
            bytes_sent: self.bytes_sent.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            messages_sent: self.messages_sent.load(Relaxed),
            messages_received: self.messages_received.load(Relaxed),
        }
    }
}

impl Metering {
    fn sent(&mut self, bytes: &[u8]) {
        self.counts.bytes_sent.fetch_add(bytes.len() as u64, Relaxed);
        self.counts.messages_sent.fetch_add(self.sent.count(bytes), Relaxed);
    }

    fn received(&mut self, bytes: &[u8]) {
        self.counts.bytes_received.fetch_add(bytes.len() as u64, Relaxed);
        self.counts.messages_received.fetch_add(self.received.count(bytes), Relaxed);
        if self.received.has_headers() {
            self.counts.answered.store(true, Relaxed);
        }
    }
}

impl Drop for Metering {
    fn drop(&mut self) {
        let shared = &self.counts.shared;
        let mut closed = shared.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = Arc::downgrade(&self.counts);
        open.retain(|one| !one.ptr_eq(&own));
        closed.add(&self.counts);
    }
}

/// What a stream that is counted needs for it.
#[derive(Debug)]
struct Metering {
    counts: Arc<Counts>,
    sent: MessageCounter,
    received: MessageCounter,
}

/// Whether a peer has said the first words of HTTP/2.
#[derive(Debug, Default)]
pub(crate) struct Greeted(AtomicBool);

/// What is still to come of the first words.
#[derive(Debug)]
struct Greeting {
    left: usize,
    greeted: Arc<Greeted>,
}

/// A stream that carries HTTP/2, and is counted if there is a meter.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    io: S,
    metering: Option<Box<Metering>>,
    /// `None` once the peer has greeted.
    greeting: Option<Greeting>,
}

impl Greeted {
    pub(crate) fn is_true(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Greeting {
    /// Takes note of bytes that came. Returns whether the greeting is complete.
    fn received(&mut self, bytes: usize) -> bool {
        self.left = self.left.saturating_sub(bytes);
        if self.left == 0 {
            self.greeted.0.store(true, Relaxed);
        }
        self.left == 0
    }
}

impl<S> Metered<S> {
    /// The side that opened the connection.
    pub(crate) fn client(io: S, meter: &Meter) -> (Self, Outcome) {
        let counts = meter.connection();
        let outcome = Outcome(Arc::clone(&counts));
        (Self::new(io, counts, MessageCounter::after_preface(), MessageCounter::new()), outcome)
    }

    /// The side that accepted it, and whether the peer has greeted.
    pub(crate) fn server(io: S, meter: Option<&Meter>) -> (Self, Arc<Greeted>) {
        let stream = match meter {
            None => Self { io, metering: None, greeting: None },
            Some(meter) => {
                Self::new(io, meter.connection(), MessageCounter::new(), MessageCounter::after_preface())
            }
        };
        let greeted = Arc::<Greeted>::default();
        let greeting = Greeting { left: PREFACE, greeted: Arc::clone(&greeted) };
        (Self { greeting: Some(greeting), ..stream }, greeted)
    }

    fn new(io: S, counts: Arc<Counts>, sent: MessageCounter, received: MessageCounter) -> Self {
        Self { io, metering: Some(Box::new(Metering { counts, sent, received })), greeting: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut this.io).poll_read(cx, buf));
        if let Some(metering) = &mut this.metering {
            if read.is_err() || (buf.filled().len() == before && buf.remaining() > 0) {
                metering.counts.hung_up.store(true, Relaxed);
            }
            metering.received(&buf.filled()[before..]);
        }
        read?;
        if let Some(greeting) = &mut this.greeting
            && greeting.received(buf.filled().len() - before)
        {
            this.greeting = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        if let Some(metering) = &mut this.metering {
            metering.sent(&buf[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, bufs))?;
        if let Some(metering) = &mut this.metering {
            let mut left = written;
            for buf in bufs {
                let part = left.min(buf.len());
                metering.sent(&buf[..part]);
                left -= part;
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn both_sides_count_the_same_bytes() {
        let (ours, theirs) = (Meter::new(), Meter::new());
        let (near, far) = tokio::io::duplex(64);
        let (mut near, _) = Metered::client(near, &ours);
        let (mut far, _) = Metered::server(far, Some(&theirs.brokered()));
        near.write_all(b"some words").await.expect("written");
        far.read_exact(&mut [0; 10]).await.expect("read");
        assert_eq!(ours.traffic().bytes_sent, 10);
        assert_eq!(theirs.connections()[0].kind, ConnectionKind::Brokered);
        assert_eq!(theirs.connections()[0].traffic.bytes_received, 10);
        drop((near, far));
        assert_eq!(theirs.traffic_of(ConnectionKind::Brokered).bytes_received, 10);
        assert_eq!(theirs.traffic_of(ConnectionKind::Main), Traffic::default());
        assert!(ours.is_final() && !ours.clone().is_final());
        assert!(ours.connections().is_empty());
        assert_eq!(
            (ours.traffic().bytes_sent, theirs.traffic().bytes_received),
            (10, 10),
            "nothing is forgotten"
        );
    }
}
