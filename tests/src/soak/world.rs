//! What all slots share: the programs, the directories, the counters, and the list of broken promises.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, Write as _},
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    },
    time::Duration,
};

use rpcplugin::host::{Observer, PluginId};

use crate::soak::plan::Language;

/// The deadline of a call that should be answered.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How long after its deadline a call may take to fail.
pub(crate) const BOUND: Duration = Duration::from_secs(5);

/// How long what a plugin leaves behind may take to disappear.
pub(crate) const GONE: Duration = Duration::from_secs(15);

/// What all slots share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) programs: Programs,
    /// The directory of all sockets.
    pub(crate) sockets: PathBuf,
    pub(crate) counts: Counts,
    broken: Mutex<Vec<String>>,
    /// Odd while the host itself lacks something, and other calls may fail for it.
    storms: AtomicU64,
}

/// The programs: each with its first arguments.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) rust: Vec<PathBuf>,
    pub(crate) go: Vec<PathBuf>,
    pub(crate) python: Vec<PathBuf>,
    /// A host of its own process.
    pub(crate) mortal_host: PathBuf,
}

/// The counters of a run.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) brokered: AtomicU64,
    pub(crate) launches: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) output: AtomicU64,
    /// By how many milliseconds a call was late at most.
    pub(crate) latest_ms: AtomicU64,
    /// The longest time that a launch took to fail for a fault of the host, in milliseconds.
    pub(crate) refused_ms: AtomicU64,
    /// Faults by name.
    faults: Mutex<BTreeMap<&'static str, u64>>,
    /// Ends of calls and launches by their code.
    codes: Mutex<BTreeMap<String, u64>>,
}

/// When an operation began: whether the host lacked anything since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather(u64);

impl World {
    pub(crate) fn new(seed: u64, programs: Programs, sockets: PathBuf) -> Self {
        let (counts, broken) = (Counts::default(), Mutex::default());
        Self { seed, programs, sockets, counts, broken, storms: AtomicU64::new(0) }
    }

    pub(crate) fn program(&self, language: Language) -> &[PathBuf] {
        match language {
            Language::Rust => &self.programs.rust,
            Language::Go => &self.programs.go,
            Language::Python => &self.programs.python,
        }
    }

    /// Records that something did not hold, and prints it.
    pub(crate) fn broken(&self, who: impl Display, what: impl Display) {
        let line = format!("{who}: {what}");
        let _ = writeln!(io::stderr(), "BROKEN {line}");
        lock(&self.broken).push(line);
    }

    /// What did not hold, until now.
    pub(crate) fn all_broken(&self) -> Vec<String> {
        lock(&self.broken).clone()
    }

    pub(crate) fn weather(&self) -> Weather {
        Weather(self.storms.load(SeqCst))
    }

    /// Whether the host lacked nothing since then.
    pub(crate) fn was_calm(&self, since: Weather) -> bool {
        since.0.is_multiple_of(2) && since.0 == self.storms.load(SeqCst)
    }

    /// The host lacks something from now on, or no more.
    pub(crate) fn storm_changes(&self) {
        self.storms.fetch_add(1, SeqCst);
    }

    pub(crate) fn is_storm(&self) -> bool {
        !self.weather().0.is_multiple_of(2)
    }
}

impl Counts {
    pub(crate) fn fault(&self, name: &'static str) {
        *lock(&self.faults).entry(name).or_default() += 1;
    }

    pub(crate) fn code(&self, code: impl Display) {
        *lock(&self.codes).entry(code.to_string()).or_default() += 1;
    }

    pub(crate) fn late(&self, by: Duration) {
        self.latest_ms.fetch_max(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn refused(&self, after: Duration) {
        self.refused_ms.fetch_max(u64::try_from(after.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.faults).clone()
    }

    pub(crate) fn codes(&self) -> BTreeMap<String, u64> {
        lock(&self.codes).clone()
    }
}

/// Reads the output of plugins, and counts its bytes.
#[derive(Debug)]
pub(crate) struct Output(pub(crate) std::sync::Arc<World>);

impl Observer for Output {
    fn stdout(&self, _: &PluginId, bytes: &[u8]) {
        self.0.counts.output.fetch_add(bytes.len() as u64, Relaxed);
    }

    fn stderr(&self, _: &PluginId, bytes: &[u8]) {
        self.0.counts.output.fetch_add(bytes.len() as u64, Relaxed);
    }

    fn raw_stderr(&self, _: &PluginId, bytes: &[u8]) {
        self.0.counts.output.fetch_add(bytes.len() as u64, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
