//! Calls to one plugin: each is answered in time, once, and with what was asked for.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use rpcplugin::PluginChannel;
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};

use crate::{
    pb::{GetRequest, InfoRequest, kit_client::KitClient},
    soak::world::{BOUND, DEADLINE, Weather, World},
};

/// The calls to one plugin. Clones share the record of them.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) world: Arc<World>,
    pub(crate) kit: KitClient<PluginChannel>,
    /// Names the life in messages.
    pub(crate) who: Arc<str>,
    ledger: Arc<Ledger>,
}

/// What was sent to the plugin, and what it acknowledged.
#[derive(Debug, Default)]
struct Ledger {
    sent: AtomicI64,
    answered: AtomicI64,
    next: AtomicU64,
    /// The numbers of the stored values that were acknowledged.
    stored: Mutex<Vec<u64>>,
    /// The brokered services of the plugin that could not be called, and so still wait for their end.
    open_subs: Mutex<Vec<u32>>,
    /// How many of them could not be closed either.
    unclosed: AtomicU64,
    /// Whether the plugin may be gone.
    ends: AtomicBool,
}

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) status: Status,
    since: Weather,
}

/// A request with this timeout.
pub(crate) fn within<T>(limit: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

impl Caller {
    pub(crate) fn new(world: &Arc<World>, channel: PluginChannel, who: &str) -> Self {
        let kit = KitClient::new(channel).max_decoding_message_size(usize::MAX);
        Self { world: Arc::clone(world), kit, who: who.into(), ledger: Arc::default() }
    }

    /// A number that no other call to this plugin has.
    pub(crate) fn number(&self) -> u64 {
        self.ledger.next.fetch_add(1, Relaxed)
    }

    /// From now on, calls may fail because the plugin is gone.
    pub(crate) fn plugin_ends(&self) {
        self.ledger.ends.store(true, SeqCst);
    }

    /// Whether the plugin has as many values as it should keep.
    pub(crate) fn has_stored_enough(&self) -> bool {
        self.ledger.stored.lock().unwrap_or_else(PoisonError::into_inner).len() >= MOST_STORED
    }

    pub(crate) fn stored(&self, number: u64) {
        self.ledger.stored.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    }

    /// Keeps the id of a service that the plugin serves until its `Close` is called.
    pub(crate) fn sub_is_open(&self, id: u32) {
        self.ledger.open_subs.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// Counts such a service as one that stays until the plugin ends.
    pub(crate) fn sub_stays(&self) {
        self.ledger.unclosed.fetch_add(1, Relaxed);
    }

    /// How many services stay, each with a socket.
    pub(crate) fn subs_that_stay(&self) -> u64 {
        self.ledger.unclosed.load(Relaxed)
    }

    /// Returns the ids of these services, once.
    pub(crate) fn take_open_subs(&self) -> Vec<u32> {
        std::mem::take(&mut self.ledger.open_subs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A stored value that was acknowledged.
    pub(crate) fn any_stored(&self, rng: &mut fastrand::Rng) -> Option<u64> {
        let stored = self.ledger.stored.lock().unwrap_or_else(PoisonError::into_inner);
        rng.choice(stored.iter()).copied()
    }

    pub(crate) fn broken(&self, what: impl std::fmt::Display) {
        self.world.broken(&self.who, what);
    }

    /// Waits for the answer of a call of `Kit`, which has this timeout.
    pub(crate) async fn ask<T>(
        &self,
        name: &str,
        limit: Duration,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Option<Result<T, Failed>> {
        self.ledger.sent.fetch_add(1, SeqCst);
        let answer = self.bounded(name, limit, call).await?;
        if answer.is_ok() {
            self.ledger.answered.fetch_add(1, SeqCst);
        }
        Some(answer)
    }

    /// Waits for the end of a call of any service. `None` if it does not end in time, which is recorded.
    pub(crate) async fn bounded<T>(
        &self,
        name: &str,
        limit: Duration,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Option<Result<T, Failed>> {
        let (since, begun) = (self.world.weather(), Instant::now());
        self.world.counts.calls.fetch_add(1, Relaxed);
        let Ok(answer) = timeout(limit + BOUND, call).await else {
            self.broken(format_args!("{name} has no answer {BOUND:?} after its deadline of {limit:?}"));
            return None;
        };
        self.world.counts.late(begun.elapsed().saturating_sub(limit));
        match &answer {
            Ok(_) => _ = self.world.counts.answered.fetch_add(1, Relaxed),
            Err(status) => self.world.counts.code(format_args!("{:?}", status.code())),
        }
        Some(answer.map_err(|status| Failed { status, since }))
    }

    /// The answer of a call that must be answered, unless the plugin ends or the host lacks something.
    pub(crate) fn answer<T>(&self, name: &str, called: Option<Result<T, Failed>>) -> Option<T> {
        match called? {
            Ok(answer) => Some(answer),
            Err(failed) => {
                self.refused(name, &failed);
                None
            }
        }
    }

    /// Judges a call that failed: the plugin is gone, or the host lacked something.
    pub(crate) fn refused(&self, name: &str, failed: &Failed) {
        let ends = self.ledger.ends.load(SeqCst);
        if ends && failed.status.code() != Code::Unavailable {
            self.broken(format_args!("{name} of a plugin that is gone: {:?}", failed.status));
        } else if !ends && self.world.was_calm(failed.since) {
            self.broken(format_args!("{name} failed without a fault: {:?}", failed.status));
        }
    }

    /// A call that has to fail with this code.
    pub(crate) fn expect_code<T>(&self, name: &str, called: Option<Result<T, Failed>>, code: Code) {
        match called {
            Some(Ok(_)) => self.broken(format_args!("{name} was answered in place of {code:?}")),
            Some(Err(failed)) if failed.status.code() != code && self.world.was_calm(failed.since) => {
                self.broken(format_args!(
                    "{name} failed with another code than {code:?}: {:?}",
                    failed.status
                ));
            }
            _ => {}
        }
    }

    /// Compares what the plugin counted and stored with what it acknowledged.
    pub(crate) async fn audit(&self, rng: &mut fastrand::Rng) {
        let mut kit = self.kit.clone();
        let call = message(kit.info(within(DEADLINE, InfoRequest {})));
        let Some(info) = self.answer("Info", self.ask("Info", DEADLINE, call).await) else { return };
        let (sent, answered) = (self.ledger.sent.load(SeqCst), self.ledger.answered.load(SeqCst));
        if !(answered..=sent).contains(&info.calls) {
            self.broken(format_args!(
                "the plugin counted {} calls, of {sent} sent and {answered} answered",
                info.calls
            ));
        }
        for _ in 0..5 {
            let Some(number) = self.any_stored(rng) else { return };
            self.get(number).await;
        }
    }

    /// Reads a value back that was stored and acknowledged.
    pub(crate) async fn get(&self, number: u64) {
        let mut kit = self.kit.clone();
        let call = message(kit.get(within(DEADLINE, GetRequest { key: key(number) })));
        let called = self.ask("Get", DEADLINE, call).await;
        if let Some(value) = self.answer("Get of an acknowledged value", called)
            && value.value != value_of(number)
        {
            self.broken(format_args!("value {number} is another one: {:?}", value.value));
        }
    }
}

/// Plugins that live for the whole run must not grow by what they store.
const MOST_STORED: usize = 1000;

/// The key of a stored value.
pub(crate) fn key(number: u64) -> String {
    format!("k{number}")
}

/// A stored value.
pub(crate) fn value_of(number: u64) -> Vec<u8> {
    format!("v{number}").into_bytes()
}

/// The message of an answer, without its metadata.
pub(crate) async fn message<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    call.await.map(Response::into_inner)
}
