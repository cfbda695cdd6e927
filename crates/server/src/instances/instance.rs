//! One instance, as a handler holds it.

use std::{fmt, ops::Deref, sync::Arc};

use rpcplugin_core::InstanceId;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFuture},
    task::task_tracker::TaskTrackerToken,
};

/// An instance of a plugin, as a handler holds it. It dereferences to the value. Cheap to clone.
///
/// The instance is in use until its last clone is dropped: [the removal](super::Instances#removal) waits for it. A handler that
/// streams should keep it in the stream.
pub struct Instance<T> {
    // Dropped before the token, so that the registry holds the last reference once no token is left.
    pub(super) held: Arc<Held<T>>,
    pub(super) _in_use: TaskTrackerToken,
}

/// The value with what belongs to it.
pub(super) struct Held<T> {
    pub(super) id: InstanceId,
    pub(super) value: T,
    pub(super) removed: CancellationToken,
}

impl<T> Instance<T> {
    /// The id.
    #[must_use]
    pub fn id(&self) -> &InstanceId {
        &self.held.id
    }

    /// Whether the instance has been removed, or the plugin is shutting down.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.held.removed.is_cancelled()
    }

    /// Resolves when the instance has been removed, or when the shutdown of the plugin begins. Long calls and streams should end then.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub fn removed(&self) -> WaitForCancellationFuture<'_> {
        self.held.removed.cancelled()
    }
}

impl<T> Deref for Instance<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held.value
    }
}

impl<T> Clone for Instance<T> {
    fn clone(&self) -> Self {
        Self { held: Arc::clone(&self.held), _in_use: self._in_use.clone() }
    }
}

/// Shows the id only: the value may have secrets.
impl<T> fmt::Debug for Instance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instance").field(&self.held.id).finish()
    }
}
