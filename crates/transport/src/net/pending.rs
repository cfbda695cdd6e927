//! Connections on which no call has been made, of the whole process.
//!
//! Each connection takes a file descriptor, and a process has few of these. A peer that connects and sends nothing
//! keeps its descriptor until the handshake timeout. So that such peers do not lock other peers out, the oldest pending
//! connection is closed when pending connections hold half of the descriptors that the process may have, and whenever a
//! new connection finds no free descriptor. Connections are counted for the process and not for each listener, because
//! descriptors belong to the process.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{task::AbortHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::stream::Stream;
use crate::os::descriptors;

/// An incoming connection on which no call has been made. Cheap to clone. Drop the last clone after the connection.
///
/// A pending connection may be closed to make room for others, the oldest first. Connections whose peer has sent
/// nothing for a second are closed before those whose peer has.
#[derive(Debug, Clone)]
pub struct PendingConnection(Option<Arc<Connection>>);

#[derive(Debug)]
struct Connection {
    /// Later connections have higher numbers.
    number: u64,
    called: AtomicBool,
    closed: CancellationToken,
}

/// The pending connections of the process, by their numbers.
static ALL: Mutex<Pending> =
    Mutex::new(Pending { silent: BTreeMap::new(), connected: BTreeMap::new(), last: 0 });

#[derive(Debug)]
struct Pending {
    /// Connections whose peers have not completed the handshake.
    silent: BTreeMap<u64, Entry>,
    /// Connections whose peers have completed the handshake.
    connected: BTreeMap<u64, Entry>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    /// The task that serves the connection, once it is started.
    task: Option<AbortHandle>,
    closed: CancellationToken,
    since: Instant,
}

impl PendingConnection {
    /// Counts a connection that was just accepted. Closes the oldest pending connection if there are too many.
    ///
    /// A connection without a descriptor of its own, such as a stream of a multiplexed connection, is not counted.
    #[must_use]
    pub fn new(stream: &Stream) -> Self {
        if matches!(stream, Stream::Other(_)) {
            return Self(None);
        }
        let mut all = all();
        if all.silent.len() >= FEW && all.silent.len() >= limit() {
            all.close(|_| true);
        } else if all.silent.len() + all.connected.len() >= FEW.max(limit()) {
            all.close(|entry| entry.since.elapsed() >= HANDSHAKE).or_else(|| all.close_any());
        }
        all.last += 1;
        let (number, closed) = (all.last, CancellationToken::new());
        all.silent.insert(number, Entry { task: None, closed: closed.clone(), since: Instant::now() });
        Self(Some(Arc::new(Connection { number, called: AtomicBool::new(false), closed })))
    }

    /// Sets the task that serves the connection. Aborting it closes the connection.
    pub fn set_task(&self, task: AbortHandle) {
        let Some(connection) = &self.0 else { return };
        let mut all = all();
        let Pending { silent, connected, .. } = &mut *all;
        let number = &connection.number;
        if let Some(entry) = silent.get_mut(number).or_else(|| connected.get_mut(number)) {
            entry.task = Some(task);
        }
    }

    /// Takes note that the peer has completed the handshake of TLS and HTTP/2, or of another protocol.
    pub fn connected(&self) {
        let Some(connection) = &self.0 else { return };
        let mut all = all();
        if let Some(entry) = all.silent.remove(&connection.number) {
            all.connected.insert(connection.number, entry);
        }
    }

    /// Takes note that the peer has made a call. The connection is not pending any more.
    pub fn called(&self) {
        if let Some(connection) = &self.0
            && !connection.called.load(Relaxed)
        {
            connection.called.store(true, Relaxed);
            all().forget(connection.number);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        all().forget(self.number);
        self.closed.cancel();
    }
}

/// Closes a pending connection, to free its descriptor. Returns whether one was closed.
pub(crate) async fn make_room() -> bool {
    let closed = {
        let mut all = all();
        // A new connection has had no time for its handshake.
        all.close(|entry| entry.since.elapsed() >= HANDSHAKE).or_else(|| all.close_any())
    };
    match closed {
        Some(closed) => timeout(CLOSING, closed.cancelled()).await.is_ok(),
        None => false,
    }
}

impl Pending {
    /// Closes the oldest silent connection, if the condition holds for it.
    fn close(&mut self, condition: impl Fn(&Entry) -> bool) -> Option<CancellationToken> {
        let (number, _) = oldest(&self.silent).filter(|(_, entry)| condition(entry))?;
        self.silent.remove(&number)?.close()
    }

    /// Closes the oldest pending connection.
    fn close_any(&mut self) -> Option<CancellationToken> {
        let all = oldest(&self.silent).into_iter().chain(oldest(&self.connected));
        let number = all.map(|(number, _)| number).min()?;
        self.silent.remove(&number).or_else(|| self.connected.remove(&number))?.close()
    }

    fn forget(&mut self, number: u64) {
        if self.silent.remove(&number).is_none() {
            self.connected.remove(&number);
        }
    }
}

/// Returns the oldest connection that can be closed.
fn oldest(entries: &BTreeMap<u64, Entry>) -> Option<(u64, &Entry)> {
    entries.iter().find(|(_, entry)| entry.task.is_some()).map(|(number, entry)| (*number, entry))
}

impl Entry {
    fn close(self) -> Option<CancellationToken> {
        self.task?.abort();
        tracing::debug!("a connection without a call was closed, to make room for others");
        Some(self.closed)
    }
}

fn all() -> MutexGuard<'static, Pending> {
    // Every step leaves the maps consistent.
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many connections may be silent at once: half of the descriptors that the process may have.
fn limit() -> usize {
    let half = descriptors::limit().map_or(u64::MAX, |limit| limit / 2);
    usize::try_from(half).unwrap_or(usize::MAX).clamp(FEW, MANY)
}

/// So many silent connections are always allowed.
const FEW: usize = 16;

/// More silent connections are never allowed. Those of real peers are silent for milliseconds.
const MANY: usize = 4096;

/// How long the handshake of a real peer takes on a busy machine.
const HANDSHAKE: Duration = Duration::from_secs(1);

/// How long the close of a connection takes on a busy machine.
const CLOSING: Duration = Duration::from_millis(200);
