//! The tasks of a tap.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

/// Tasks that end with the tap. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits until all tasks have ended.
    ///
    /// # Cancel safety
    /// The remaining tasks are aborted if the future is dropped.
    pub(super) async fn end(&self) {
        let mut tasks = self.take();
        while tasks.join_next().await.is_some() {}
    }

    /// Ends all tasks.
    pub(super) fn abort(&self) {
        drop(self.take());
    }

    fn take(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
