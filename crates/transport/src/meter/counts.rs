//! The counters of connections, and their sums.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// Counts the traffic of connections. Cheap to clone: clones count together and can be read at any time.
///
/// Set it as [`http2::Settings::meter`](crate::http2::Settings::meter) of the connections that are opened or served.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    shared: Arc<Shared>,
    kind: ConnectionKind,
}

/// The traffic of one or more connections.
///
/// Bytes are those of HTTP/2, before encryption and without the overhead of the transport. A message counts when its
/// last byte has passed.
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

/// The traffic of one open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionTraffic {
    /// The kind of the connection.
    pub kind: ConnectionKind,
    /// The traffic so far.
    pub traffic: Traffic,
}

/// The kind of a connection between two peers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionKind {
    /// The first connection, over which others are brokered.
    #[default]
    Main,
    /// A connection of the broker.
    Brokered,
}

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<Vec<Weak<Counts>>>,
    closed: Mutex<Closed>,
}

/// The traffic of closed connections.
#[derive(Debug, Default)]
struct Closed {
    main: Traffic,
    brokered: Traffic,
}

/// The counters of one connection. Only that connection writes them.
#[derive(Debug)]
pub(super) struct Counts {
    shared: Arc<Shared>,
    kind: ConnectionKind,
    pub(super) bytes_sent: AtomicU64,
    pub(super) bytes_received: AtomicU64,
    pub(super) messages_sent: AtomicU64,
    pub(super) messages_received: AtomicU64,
    /// Whether the peer has sent headers of a response.
    pub(super) responded: AtomicBool,
    /// Whether the peer has closed the connection, or the connection broke.
    pub(super) hung_up: AtomicBool,
}

impl Meter {
    /// Makes a meter that has counted nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a clone that counts brokered connections.
    #[must_use]
    pub fn brokered(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), kind: ConnectionKind::Brokered }
    }

    /// The sum over all connections, open and closed.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        // Connections close under this lock, so that each is counted exactly once.
        let closed = self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner);
        self.connections().iter().fold(closed.main.plus(closed.brokered), |sum, open| sum.plus(open.traffic))
    }

    /// The sum over all connections of this kind, open and closed.
    #[must_use]
    pub fn traffic_of(&self, kind: ConnectionKind) -> Traffic {
        let closed = self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let open = self.connections();
        let open = open.iter().filter(|open| open.kind == kind);
        open.fold(closed.of(kind), |sum, open| sum.plus(open.traffic))
    }

    /// Whether the counts can change no more: no connection is open, and this is the last clone that could count another.
    #[must_use]
    pub fn is_final(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    /// The open connections, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionTraffic> {
        let open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter()
            .filter_map(Weak::upgrade)
            .map(|counts| ConnectionTraffic { kind: counts.kind, traffic: counts.traffic() })
            .collect()
    }

    /// Adds an open connection.
    pub(super) fn open_connection(&self) -> Arc<Counts> {
        let counts = Arc::new(Counts {
            shared: Arc::clone(&self.shared),
            kind: self.kind,
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            messages_sent: AtomicU64::new(0),
            messages_received: AtomicU64::new(0),
            responded: AtomicBool::new(false),
            hung_up: AtomicBool::new(false),
        });
        let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(Arc::downgrade(&counts));
        counts
    }
}

impl Traffic {
    /// The sum of two traffics.
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

    /// Moves the counts to the closed connections.
    pub(super) fn close(self: &Arc<Self>) {
        let mut closed = self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = Arc::downgrade(self);
        open.retain(|one| !one.ptr_eq(&own));
        closed.add(self);
    }
}
