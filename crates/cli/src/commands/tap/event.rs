//! What a tap shows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use rpcplugin::{Endpoint, host::ExitReason};
use tokio::{
    sync::mpsc,
    time::{error::Elapsed, timeout},
};

use super::{http2::Found, schema::Described};

/// The process that something comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Host,
    Plugin,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Host => Self::Plugin,
            Self::Plugin => Self::Host,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Plugin => "plugin",
        }
    }
}

/// One thing to show.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) at: SystemTime,
    /// The connection. `None` for the whole plugin.
    pub(super) connection: Option<Arc<str>>,
    pub(super) from: Side,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// The plugin was started.
    Started {
        program: String,
        args: Vec<String>,
        pid: Option<u32>,
    },
    /// The plugin has printed its handshake line.
    Handshake {
        version: u32,
        endpoint: Endpoint,
        security: SecurityKind,
        multiplexed: bool,
    },
    Opened,
    Closed,
    Found(Found),
    /// Something that this program cannot do, or that a person has to know.
    Note(String),
    Exited(ExitReason),
    /// The types of messages, for what follows. Not shown.
    Schema(Box<Described>),
}

/// Where the certificates of both sides come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecurityKind {
    AutoMtls,
    Given,
    /// None that this program knows.
    Plain,
}

/// The way of the events to the output. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Log {
    events: mpsc::Sender<Event>,
    lost: Arc<AtomicU64>,
}

impl Log {
    /// Returns the two ends: for the events, and for the output.
    pub(super) fn new() -> (Self, mpsc::Receiver<Event>, Arc<AtomicU64>) {
        let (events, receiver) = mpsc::channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        (Self { events, lost: lost.clone() }, receiver, lost)
    }

    /// Hands an event to the output. Waits for a slow output. An output that takes nothing for a second loses events until it takes
    /// them again, so that it does not hold up the plugin.
    pub(super) async fn send(&self, connection: Option<&Arc<str>>, from: Side, kind: Kind) {
        let event = Event { at: SystemTime::now(), connection: connection.cloned(), from, kind };
        let sent: Result<bool, Elapsed> = match self.lost.load(Ordering::Relaxed) {
            0 => timeout(OUTPUT_TIMEOUT, self.events.send(event)).await.map(|sent| sent.is_ok()),
            _ => Ok(self.events.try_send(event).is_ok()),
        };
        if !matches!(sent, Ok(true)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The events that may wait for the output. Each has at most one message.
const WAITING: usize = 256;

/// The longest wait for the output.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);
