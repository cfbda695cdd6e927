//! Waiting in another task until the plugin serves.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

/// Reports whether a plugin serves. Made by [`Serve::readiness`](crate::Serve::readiness). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    state: watch::Receiver<State>,
    timeout: Duration,
}

/// The plugin does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum NotReady {
    /// The plugin did not serve in time.
    #[error("the plugin did not serve within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_not_ready),
        help(
            "read the plugin's log; if the plugin is still starting, set PLUGIN_SERVER_READY_TIMEOUT to a longer time"
        )
    )]
    Late(Duration),
    /// The plugin has ended, or failed to start.
    #[error("the plugin has ended")]
    #[diagnostic(
        code(rpcplugin::transport::plugin_not_serving),
        help("read the error that `Serve::run` returned, or the plugin's log")
    )]
    Ended,
}

impl Readiness {
    /// Waits until the plugin serves: its socket listens, and the handshake line is printed.
    ///
    /// The timeout is [`PluginConfig::ready_timeout`](rpcplugin_config::PluginConfig::ready_timeout), as it was when this
    /// value was made.
    ///
    /// # Errors
    /// [`NotReady`].
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn wait(&mut self) -> Result<(), NotReady> {
        self.wait_for(self.timeout).await
    }

    /// Waits until the plugin serves, for at most `limit`.
    ///
    /// # Errors
    /// [`NotReady`].
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn wait_for(&mut self, limit: Duration) -> Result<(), NotReady> {
        let decided = self.state.wait_for(|state| *state != State::Starting);
        match timeout(limit, decided).await {
            Err(_) => Err(NotReady::Late(limit)),
            Ok(Ok(state)) if *state == State::Serving => Ok(()),
            Ok(_) => Err(NotReady::Ended),
        }
    }
}

/// The progress of a plugin. Dropping this reports that the plugin has ended.
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

    pub(crate) fn readiness(&self, timeout: Duration) -> Readiness {
        Readiness { state: self.0.subscribe(), timeout }
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
    async fn waiting_ends_when_the_plugin_serves_and_when_the_time_is_over() {
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
