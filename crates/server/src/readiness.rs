//! Knowing from elsewhere that the plugin serves.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

/// Tells whether a plugin serves. Cheap to clone; made by [`Serve::readiness`](crate::Serve::readiness).
#[derive(Debug, Clone)]
pub struct Readiness {
    state: watch::Receiver<State>,
    deadline: Duration,
}

/// A plugin does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum NotReady {
    /// It did not within the time.
    #[error("the plugin did not serve within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_not_ready),
        help(
            "the plugin may still be starting: look at its log, or set PLUGIN_SERVER_READY_TIMEOUT to a longer time"
        )
    )]
    Late(Duration),
    /// It has ended, or failed to start.
    #[error("the plugin has ended")]
    #[diagnostic(
        code(rpcplugin::transport::plugin_not_serving),
        help("what ran the plugin knows why it ended")
    )]
    Ended,
}

impl Readiness {
    /// Waits until the plugin serves: its socket listens, and the host has been answered. No longer than
    /// [`PluginConfig::ready_timeout`](rpcplugin_config::PluginConfig::ready_timeout), as it was when this was made.
    ///
    /// # Errors
    /// [`NotReady`].
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn wait(&mut self) -> Result<(), NotReady> {
        self.wait_for(self.deadline).await
    }

    /// The same, for another time.
    ///
    /// # Errors
    /// [`NotReady`].
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn wait_for(&mut self, deadline: Duration) -> Result<(), NotReady> {
        let decided = self.state.wait_for(|state| *state != State::Starting);
        match timeout(deadline, decided).await {
            Err(_) => Err(NotReady::Late(deadline)),
            Ok(Ok(state)) if *state == State::Serving => Ok(()),
            Ok(_) => Err(NotReady::Ended),
        }
    }
}

/// How far a plugin is. Dropping it means that it has ended.
#[derive(Debug)]
pub(crate) struct Progress(watch::Sender<State>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Serving,
    Ended,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(State::Starting))
    }

    pub(crate) fn readiness(&self, deadline: Duration) -> Readiness {
        Readiness { state: self.0.subscribe(), deadline }
    }

    pub(crate) fn serving(&self) {
        self.0.send_replace(State::Serving);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.send_replace(State::Ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_for_the_plugin_but_not_for_ever() {
        let progress = Progress::new();
        let mut readiness = progress.readiness(Duration::from_secs(5));
        assert_eq!(readiness.wait().await, Err(NotReady::Late(Duration::from_secs(5))));
        let waiting = tokio::spawn({
            let mut readiness = readiness.clone();
            async move { readiness.wait().await }
        });
        progress.serving();
        assert_eq!(waiting.await.expect("no panic"), Ok(()));
        drop(progress);
        assert_eq!(readiness.wait().await, Err(NotReady::Ended));
    }
}
