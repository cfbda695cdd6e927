//! The instances by id, from their creation to the end of their removal.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use rpcplugin_core::InstanceId;
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;
use tracing::Instrument as _;

use super::{
    instance::{Held, Instance},
    spans,
    spec::InstanceSpec,
    status,
};

/// The function that makes the value of an instance.
pub(super) type Create<T> =
    Box<dyn Fn(InstanceSpec) -> Pin<Box<dyn Future<Output = Result<T, Status>> + Send>> + Send + Sync>;

/// The function that gets the value of a removed instance.
pub(super) type OnRemove<T> = Box<dyn Fn(T) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

pub(super) struct Registry<T> {
    create: Create<T>,
    on_remove: OnceLock<OnRemove<T>>,
    limit: AtomicUsize,
    slots: Mutex<Slots<T>>,
    /// The removals that have not ended.
    removals: TaskTracker,
}

struct Slots<T> {
    by_id: BTreeMap<InstanceId, Slot<T>>,
    /// The plugin is shutting down.
    closed: bool,
    /// How long a removal may take.
    grace: Duration,
}

/// The use of an id. Each of them counts toward the limit.
enum Slot<T> {
    Creating,
    Live(Live<T>),
    Removing,
}

/// An instance that takes calls.
struct Live<T> {
    held: Arc<Held<T>>,
    /// Has a token for each [`Instance`].
    uses: TaskTracker,
}

/// Whether calls still used an instance after the grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    Unused,
    InUse,
}

/// A removal that goes on in a task of its own.
#[derive(Debug)]
pub(super) struct Removal(Option<JoinHandle<Removed>>);

impl<T> Registry<T> {
    pub(super) fn new(create: Create<T>, limit: usize) -> Self {
        let slots = Slots { by_id: BTreeMap::new(), closed: false, grace: Duration::from_secs(1) };
        Self {
            create,
            on_remove: OnceLock::new(),
            limit: AtomicUsize::new(limit),
            slots: Mutex::new(slots),
            removals: TaskTracker::new(),
        }
    }

    pub(super) fn set_limit(&self, instances: usize) {
        self.limit.store(instances, Relaxed);
    }

    pub(super) fn set_on_remove(&self, on_remove: OnRemove<T>) {
        let _ = self.on_remove.set(on_remove);
    }

    pub(super) fn set_grace(&self, grace: Duration) {
        self.slots().grace = grace;
    }

    pub(super) fn get(&self, id: &str) -> Option<Instance<T>> {
        match self.slots().by_id.get(id)? {
            Slot::Live(Live { held, uses }) => {
                Some(Instance { held: Arc::clone(held), _in_use: uses.token() })
            }
            Slot::Creating | Slot::Removing => None,
        }
    }

    pub(super) fn ids(&self) -> Vec<InstanceId> {
        let slots = self.slots();
        let live = slots.by_id.iter().filter(|(_, slot)| matches!(slot, Slot::Live(_)));
        live.map(|(id, _)| id.clone()).collect()
    }

    /// Makes an instance. Dropping the future leaves none.
    pub(super) async fn create(&self, spec: InstanceSpec) -> Result<(), Status> {
        let id = spec.id.clone();
        let reserved = self.reserve(&id)?;
        let made = async { (self.create)(spec).await };
        let value = made.instrument(spans::span(id.as_str())).await.map_err(status::of_creation)?;
        reserved.fill(value)
    }

    /// Occupies the id of an instance that is being made.
    fn reserve(&self, id: &InstanceId) -> Result<Occupied<'_, T>, Status> {
        let mut slots = self.slots();
        if slots.closed {
            return Err(status::shutting_down());
        }
        if slots.by_id.contains_key(id) {
            return Err(status::exists(id.as_str()));
        }
        let limit = self.limit.load(Relaxed);
        if slots.by_id.len() >= limit {
            return Err(status::too_many(limit));
        }
        slots.by_id.insert(id.clone(), Slot::Creating);
        Ok(Occupied { registry: self, id: id.clone(), keeps_id: false })
    }

    fn slots(&self) -> MutexGuard<'_, Slots<T>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Registry<T> {
    /// Ends the calls to an instance, and begins its removal, which may take the shorter of `grace` and the plugin's own grace.
    /// `None` if there is no such instance.
    pub(super) fn remove(self: &Arc<Self>, id: &str, grace: Duration) -> Option<Removal> {
        let (live, id, grace) = {
            let mut slots = self.slots();
            let slot = slots.by_id.get_mut(id)?;
            let Slot::Live(_) = slot else { return None };
            let Slot::Live(live) = std::mem::replace(slot, Slot::Removing) else { return None };
            let id = live.held.id.clone();
            (live, id, grace.min(slots.grace))
        };
        live.held.removed.cancel();
        let Ok(runtime) = Handle::try_current() else {
            let _occupied = Occupied { registry: self, id, keeps_id: false };
            drop(live);
            return Some(Removal(None));
        };
        let registry = Arc::clone(self);
        let span = spans::span(id.as_str());
        let ended = async move {
            let _occupied = Occupied { registry: &registry, id, keeps_id: false };
            registry.end(live, Instant::now() + grace).await
        };
        Some(Removal(Some(self.removals.spawn_on(ended.instrument(span), &runtime))))
    }

    /// Waits for the calls that use a removed instance, and ends its value.
    async fn end(&self, live: Live<T>, deadline: Instant) -> Removed {
        let Live { held, uses } = live;
        uses.close();
        if timeout_at(deadline, uses.wait()).await.is_err() {
            tracing::debug!("calls still use the removed instance after the grace");
            return Removed::InUse;
        }
        if let Some(held) = Arc::into_inner(held)
            && let Some(on_remove) = self.on_remove.get()
        {
            let ended = AssertUnwindSafe(async { on_remove(held.value).await }).catch_unwind();
            match timeout_at(deadline.max(Instant::now() + LAST_WORK), ended).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => tracing::error!("the function for a removed instance panicked"),
                Err(_) => tracing::warn!("the function for a removed instance did not end within the grace"),
            }
        }
        Removed::Unused
    }

    /// Makes no further instances, and asks long calls to end.
    pub(super) fn begin_shutdown(&self) {
        let mut slots = self.slots();
        slots.closed = true;
        for slot in slots.by_id.values() {
            if let Slot::Live(live) = slot {
                live.held.removed.cancel();
            }
        }
    }

    /// Removes all instances. Returns when all removals have ended, each of them within its grace.
    pub(super) async fn shut_down(self: &Arc<Self>) {
        self.begin_shutdown();
        for id in self.ids() {
            // The removals go on side by side.
            drop(self.remove(id.as_str(), Duration::MAX));
        }
        self.removals.close();
        self.removals.wait().await;
    }
}

impl Removal {
    /// Waits for the end of the removal, which goes on when the future is dropped.
    pub(super) async fn ended(self) -> Removed {
        match self.0 {
            // A task that panicked has dropped the value.
            Some(task) => task.await.unwrap_or(Removed::Unused),
            None => Removed::Unused,
        }
    }
}

/// An id that is in use while its instance is made or removed. Dropping it frees the id.
struct Occupied<'a, T> {
    registry: &'a Registry<T>,
    id: InstanceId,
    /// The id belongs to an instance now.
    keeps_id: bool,
}

impl<T> Occupied<'_, T> {
    /// Makes the instance available to calls.
    fn fill(mut self, value: T) -> Result<(), Status> {
        let held = Held { id: self.id.clone(), value, removed: CancellationToken::new() };
        let live = Live { held: Arc::new(held), uses: TaskTracker::new() };
        let mut slots = self.registry.slots();
        if slots.closed {
            // The id is freed and the value is dropped after the lock.
            drop(slots);
            return Err(status::shutting_down());
        }
        slots.by_id.insert(self.id.clone(), Slot::Live(live));
        drop(slots);
        self.keeps_id = true;
        Ok(())
    }
}

impl<T> Drop for Occupied<'_, T> {
    fn drop(&mut self) {
        if !self.keeps_id {
            self.registry.slots().by_id.remove(&self.id);
        }
    }
}

/// How long the function for a removed instance has at least.
const LAST_WORK: Duration = Duration::from_millis(200);
