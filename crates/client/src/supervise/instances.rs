//! The instances of a supervised plugin, which every generation gets.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use rpcplugin_core::{InstanceConfiguration, InstanceId, with_causes};
use tokio::{
    sync::{Mutex, MutexGuard, watch},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tonic::Status;

use super::{generation::Generation, state::State};
use crate::{
    error::InstanceError,
    instances::{InstanceLimits, InstanceRemoval, InstanceRequests, RemoveInstance},
};

/// The instances that every generation gets, with their configurations. Cheap to clone.
///
/// The lock is held while a generation is asked to create or remove instances, so that none is missed between the preparation
/// of a generation and a request of the host.
#[derive(Clone)]
pub(super) struct KeptInstances {
    by_id: Arc<Mutex<BTreeMap<InstanceId, InstanceConfiguration>>>,
    limits: InstanceLimits,
}

/// The kept instances with the generations that have them.
pub(super) struct SupervisedInstances {
    pub(super) kept: KeptInstances,
    pub(super) state: watch::Receiver<State>,
}

impl KeptInstances {
    pub(super) fn new(limits: InstanceLimits) -> Self {
        Self { by_id: Arc::default(), limits }
    }

    /// Creates all instances in a new generation. An instance that the plugin refuses is logged and left out: it is created
    /// in the next generation, or by a request of the host.
    pub(super) async fn restore(&self, generation: Generation) -> Result<(), InstanceError> {
        let kept = self.by_id.lock().await;
        let mut left: VecDeque<_> =
            kept.iter().map(|(id, configuration)| (id.clone(), configuration.clone())).collect();
        let mut creating = JoinSet::new();
        loop {
            while creating.len() < AT_A_TIME
                && let Some((id, configuration)) = left.pop_front()
            {
                let (requests, limit) = (self.requests(&generation), self.limits.create);
                creating.spawn(async move { (requests.create(&id, &configuration, limit).await, id) });
            }
            match creating.join_next().await {
                None => return Ok(()),
                Some(Ok((Err(error), id))) if error.is_of_one_instance() => {
                    let error = with_causes(error.to_string(), &error);
                    let plugin = &*generation.plugin().name;
                    tracing::warn!(parent: None, plugin, instance = id.as_str(), error, "an instance was not created again");
                }
                Some(Ok((created, _))) => created?,
                // No task panics, and none is aborted while the set exists.
                Some(Err(_)) => {}
            }
        }
    }

    fn requests(&self, generation: &Generation) -> InstanceRequests {
        InstanceRequests::new(generation.channel(), self.limits)
    }
}

impl SupervisedInstances {
    /// Creates an instance in the generation that takes calls, and keeps it for later generations.
    pub(super) async fn create(
        &self,
        id: &InstanceId,
        configuration: InstanceConfiguration,
    ) -> Result<(), InstanceError> {
        let limit = self.kept.limits.create;
        let deadline = Instant::now() + limit;
        let (generation, mut kept) = self.ready(deadline, limit).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        self.kept.requests(&generation).create(id, &configuration, left).await?;
        kept.insert(id.clone(), configuration);
        Ok(())
    }

    pub(super) async fn list(&self) -> Result<Vec<InstanceId>, InstanceError> {
        let limit = self.kept.limits.create;
        let (generation, kept) = self.ready(Instant::now() + limit, limit).await?;
        drop(kept);
        self.kept.requests(&generation).list().await
    }

    /// Removes an instance. Later generations do not get it, whether or not this generation has it.
    async fn remove(&self, id: &InstanceId) -> Result<InstanceRemoval, InstanceError> {
        let limit = self.kept.limits.create;
        let deadline = Instant::now() + limit;
        let Ok(mut kept) = timeout_at(deadline, self.kept.by_id.lock()).await else {
            return Err(InstanceError::Timeout(limit));
        };
        let was_kept = kept.remove(id).is_some();
        drop(kept);
        // A generation that is still being prepared may have got the instance already.
        let removed = match self.ready(deadline, limit).await {
            Ok((generation, kept)) => {
                drop(kept);
                self.kept.requests(&generation).remove(id).await
            }
            Err(error) => Err(error),
        };
        match removed {
            // The instance has ended with its generation.
            Err(InstanceError::Unreachable(_) | InstanceError::Unknown { .. }) if was_kept => {
                Ok(InstanceRemoval::Unused)
            }
            removed => removed,
        }
    }

    /// Waits for a generation that takes calls, and locks the kept instances for it.
    async fn ready(
        &self,
        deadline: Instant,
        limit: Duration,
    ) -> Result<(Generation, MutexGuard<'_, BTreeMap<InstanceId, InstanceConfiguration>>), InstanceError>
    {
        let ready = async {
            let mut state = self.state.clone();
            loop {
                let settled = |state: &State| {
                    state.is_over() || state.ready().is_some_and(|generation| !generation.has_exited())
                };
                let generation = match state.wait_for(settled).await {
                    Ok(state) => state.ready().cloned(),
                    Err(_) => None,
                };
                let Some(generation) = generation else {
                    let status = Status::unavailable("the plugin was given up, or shut down by its host");
                    return Err(InstanceError::Unreachable(status));
                };
                let kept = self.kept.by_id.lock().await;
                // A later generation may have been prepared while the lock was not available.
                if state.borrow().ready().is_some_and(|now| now.number() == generation.number()) {
                    return Ok((generation, kept));
                }
            }
        };
        timeout_at(deadline, ready).await.unwrap_or(Err(InstanceError::Timeout(limit)))
    }
}

impl RemoveInstance for SupervisedInstances {
    fn remove(
        self: Arc<Self>,
        id: InstanceId,
    ) -> Pin<Box<dyn Future<Output = Result<InstanceRemoval, InstanceError>> + Send>> {
        Box::pin(async move { Self::remove(&self, &id).await })
    }
}

/// How many instances are created at the same time.
const AT_A_TIME: usize = 16;
