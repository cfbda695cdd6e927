//! The exit of the plugin, and how long work that it left may take.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Whether the plugin has exited. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct PluginExit(CancellationToken);

impl PluginExit {
    /// Says that the plugin has exited.
    pub(crate) fn has_come(&self) {
        self.0.cancel();
    }

    /// Waits for `step`. Gives up, and returns `None`, when the plugin has exited and the step makes no progress for [`LAST_STEP`]: a
    /// peer that does not read must not keep this program running.
    pub(crate) async fn bounds<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(step);
        tokio::select! {
            biased;
            done = &mut step => return Some(done),
            () = self.0.cancelled() => {}
        }
        timeout(LAST_STEP, step).await.ok()
    }
}

/// The longest wait for one read or write when the plugin has exited.
const LAST_STEP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_is_given_up_only_after_the_exit() {
        let exit = PluginExit::default();
        assert_eq!(exit.bounds(async { 1 }).await, Some(1));
        exit.has_come();
        assert_eq!(exit.bounds(async { 2 }).await, Some(2));
        assert_eq!(exit.bounds(std::future::pending::<u8>()).await, None);
    }
}
