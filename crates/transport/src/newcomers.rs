//! Connections whose peers have not proven themselves, of the whole process.
//!
//! Each takes a file descriptor, of which a process has few, and a peer that connects and says nothing takes it for as long as
//! it may. So that such peers keep no other out, the oldest of them makes room: when they hold half of the descriptors that
//! the process may have, and whenever none is left for a connection that comes in. They are counted for the process and not
//! for each listener, since descriptors are the process's.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit};
use tokio::{task::AbortHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::stream::Stream;

/// A connection that came in, until its peer has made a call. Cheap to clone; the last clone is to be dropped after the
/// connection.
///
/// It may be closed to make room for others, the oldest first: but one that has not greeted for a second before all that have.
#[derive(Debug, Clone)]
pub struct Newcomer(Option<Arc<Connection>>);

#[derive(Debug)]
struct Connection {
    /// Counts up.
    number: u64,
    proven: AtomicBool,
    gone: CancellationToken,
}

/// All of the process, by their numbers.
static ALL: Mutex<Newcomers> =
    Mutex::new(Newcomers { silent: BTreeMap::new(), greeted: BTreeMap::new(), last: 0 });

#[derive(Debug)]
struct Newcomers {
    /// Whose peers have not said the first words.
    silent: BTreeMap<u64, Entry>,
    /// Whose peers have, and have made no call.
    greeted: BTreeMap<u64, Entry>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    /// `None` until the task that serves the connection is there.
    task: Option<AbortHandle>,
    gone: CancellationToken,
    since: Instant,
}

impl Newcomer {
    /// A connection that has just come in. If there are too many that have not greeted, the oldest is closed.
    ///
    /// One that has no descriptor of its own, such as a stream of a multiplexed connection, is never closed.
    #[must_use]
    pub fn new(stream: &Stream) -> Self {
        if matches!(stream, Stream::Other(_)) {
            return Self(None);
        }
        let mut all = all();
        if all.silent.len() >= FEW && all.silent.len() >= bound() {
            all.close(|_| true);
        } else if all.silent.len() + all.greeted.len() >= FEW.max(bound()) {
            all.close(|entry| entry.since.elapsed() >= GREETING).or_else(|| all.close_any());
        }
        all.last += 1;
        let (number, gone) = (all.last, CancellationToken::new());
        all.silent.insert(number, Entry { task: None, gone: gone.clone(), since: Instant::now() });
        Self(Some(Arc::new(Connection { number, proven: AtomicBool::new(false), gone })))
    }

    /// What is aborted to close the connection.
    pub fn closes_with(&self, task: AbortHandle) {
        let Some(connection) = &self.0 else { return };
        let mut all = all();
        let Newcomers { silent, greeted, .. } = &mut *all;
        let number = &connection.number;
        if let Some(entry) = silent.get_mut(number).or_else(|| greeted.get_mut(number)) {
            entry.task = Some(task);
        }
    }

    /// Its peer has said the first words: of TLS and HTTP/2, or of what else is spoken.
    pub fn greeted(&self) {
        let Some(connection) = &self.0 else { return };
        let mut all = all();
        if let Some(entry) = all.silent.remove(&connection.number) {
            all.greeted.insert(connection.number, entry);
        }
    }

    /// Its peer has proven itself, and the connection makes no room any more.
    pub fn proven(&self) {
        if let Some(connection) = &self.0
            && !connection.proven.load(Relaxed)
        {
            connection.proven.store(true, Relaxed);
            all().forget(connection.number);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        all().forget(self.number);
        self.gone.cancel();
    }
}

/// Makes room for one descriptor. Returns whether there was a connection to close; it is closed then, or nearly.
pub(crate) async fn make_room() -> bool {
    let gone = {
        let mut all = all();
        // One that has just come in has had no time to greet.
        all.close(|entry| entry.since.elapsed() >= GREETING).or_else(|| all.close_any())
    };
    match gone {
        Some(gone) => timeout(CLOSING, gone.cancelled()).await.is_ok(),
        None => false,
    }
}

impl Newcomers {
    /// Closes the oldest of those that are silent, if it is such a one.
    fn close(&mut self, such: impl Fn(&Entry) -> bool) -> Option<CancellationToken> {
        let (number, _) = oldest(&self.silent).filter(|(_, entry)| such(entry))?;
        self.silent.remove(&number)?.close()
    }

    /// Closes the oldest of all.
    fn close_any(&mut self) -> Option<CancellationToken> {
        let all = oldest(&self.silent).into_iter().chain(oldest(&self.greeted));
        let number = all.map(|(number, _)| number).min()?;
        self.silent.remove(&number).or_else(|| self.greeted.remove(&number))?.close()
    }

    fn forget(&mut self, number: u64) {
        if self.silent.remove(&number).is_none() {
            self.greeted.remove(&number);
        }
    }
}

/// The first that can be closed.
fn oldest(entries: &BTreeMap<u64, Entry>) -> Option<(u64, &Entry)> {
    entries.iter().find(|(_, entry)| entry.task.is_some()).map(|(number, entry)| (*number, entry))
}

impl Entry {
    fn close(self) -> Option<CancellationToken> {
        self.task?.abort();
        tracing::debug!("a connection on which nothing was called was closed, to make room for others");
        Some(self.gone)
    }
}

fn all() -> MutexGuard<'static, Newcomers> {
    // Every step leaves it whole.
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many may be silent at once: half of what the process may open.
fn bound() -> usize {
    let half = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |descriptors| descriptors / 2);
    usize::try_from(half).unwrap_or(usize::MAX).clamp(FEW, MANY)
}

/// Silent connections that no limit forbids.
const FEW: usize = 16;

/// Silent connections for which no limit is high enough. Those of real peers are silent for milliseconds.
const MANY: usize = 4096;

/// How long a peer that means it takes to greet, on a busy machine.
const GREETING: Duration = Duration::from_secs(1);

/// How long a connection takes to close on a busy machine.
const CLOSING: Duration = Duration::from_millis(200);
