//! A connection whose traffic is counted.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::io::ReadBuf;

use super::counts::{Counts, Meter};
use crate::{
    frames::{MessageCounter, PREFACE},
    io::{Inspect, Inspected},
};

/// A stream that carries HTTP/2 and is counted if there is a meter.
pub(crate) type Metered<S> = Inspected<S, Metering>;

/// What the peer of a connection that this side opened has done. It can be read after the connection has closed.
#[derive(Debug)]
pub(crate) struct PeerActivity(pub(super) Arc<Counts>);

/// Whether a peer has sent the preface of HTTP/2.
#[derive(Debug, Default)]
pub(crate) struct PrefaceReceived(AtomicBool);

/// Counts the bytes of a stream.
#[derive(Debug)]
pub(crate) struct Metering {
    counting: Option<Box<Counting>>,
    /// `None` once the peer has sent the preface.
    preface: Option<Preface>,
}

/// The counters of a stream with a meter.
#[derive(Debug)]
struct Counting {
    counts: Arc<Counts>,
    sent: MessageCounter,
    received: MessageCounter,
}

/// A preface that has arrived in part.
#[derive(Debug)]
struct Preface {
    left: usize,
    received: Arc<PrefaceReceived>,
}

/// Counts the stream of the side that opened the connection.
pub(crate) fn client<S>(io: S, meter: &Meter) -> (Metered<S>, PeerActivity) {
    let counts = meter.open_connection();
    let activity = PeerActivity(Arc::clone(&counts));
    let counting = Counting::new(counts, MessageCounter::after_preface(), MessageCounter::new());
    (Inspected::new(io, Metering { counting: Some(counting), preface: None }), activity)
}

/// Counts the stream of the side that accepted the connection. Also returns whether the peer has sent the preface.
pub(crate) fn server<S>(io: S, meter: Option<&Meter>) -> (Metered<S>, Arc<PrefaceReceived>) {
    let counting = meter.map(|meter| {
        Counting::new(meter.open_connection(), MessageCounter::new(), MessageCounter::after_preface())
    });
    let received = Arc::<PrefaceReceived>::default();
    let preface = Some(Preface { left: PREFACE, received: Arc::clone(&received) });
    (Inspected::new(io, Metering { counting, preface }), received)
}

impl PeerActivity {
    /// Whether the peer has responded to a call, if only by refusing the call.
    pub(crate) fn has_responded(&self) -> bool {
        self.0.responded.load(Relaxed)
    }

    /// How many messages have arrived.
    pub(crate) fn messages(&self) -> u64 {
        self.0.messages_received.load(Relaxed)
    }

    /// Whether the peer has closed the connection, or the connection broke.
    pub(crate) fn has_hung_up(&self) -> bool {
        self.0.hung_up.load(Relaxed)
    }
}

impl PrefaceReceived {
    pub(crate) fn is_true(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Preface {
    /// Takes note of bytes that arrived. Returns whether the preface is complete.
    fn received(&mut self, bytes: usize) -> bool {
        self.left = self.left.saturating_sub(bytes);
        if self.left == 0 {
            self.received.0.store(true, Relaxed);
        }
        self.left == 0
    }
}

impl Inspect for Metering {
    fn on_read(&mut self, outcome: &io::Result<()>, buf: &mut ReadBuf<'_>, before: usize) {
        let bytes = &buf.filled()[before..];
        if let Some(counting) = &mut self.counting {
            if outcome.is_err() || (bytes.is_empty() && buf.remaining() > 0) {
                counting.counts.hung_up.store(true, Relaxed);
            }
            counting.received(bytes);
        }
        if outcome.is_ok()
            && let Some(preface) = &mut self.preface
            && preface.received(bytes.len())
        {
            self.preface = None;
        }
    }

    fn on_write(&mut self, bytes: &[u8]) {
        if let Some(counting) = &mut self.counting {
            counting.sent(bytes);
        }
    }
}

impl Counting {
    fn new(counts: Arc<Counts>, sent: MessageCounter, received: MessageCounter) -> Box<Self> {
        Box::new(Self { counts, sent, received })
    }

    fn sent(&mut self, bytes: &[u8]) {
        self.counts.bytes_sent.fetch_add(bytes.len() as u64, Relaxed);
        self.counts.messages_sent.fetch_add(self.sent.count(bytes), Relaxed);
    }

    fn received(&mut self, bytes: &[u8]) {
        self.counts.bytes_received.fetch_add(bytes.len() as u64, Relaxed);
        self.counts.messages_received.fetch_add(self.received.count(bytes), Relaxed);
        if self.received.has_headers() {
            self.counts.responded.store(true, Relaxed);
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.counts.close();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::meter::{ConnectionKind, Traffic};

    #[tokio::test]
    async fn both_sides_count_the_same_bytes() {
        let (ours, theirs) = (Meter::new(), Meter::new());
        let (near, far) = tokio::io::duplex(64);
        let (mut near, _) = client(near, &ours);
        let (mut far, _) = server(far, Some(&theirs.brokered()));
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
            "closed connections still count"
        );
    }
}
