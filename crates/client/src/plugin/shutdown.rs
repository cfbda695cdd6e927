//! Ending a plugin: shut down, kill.

use std::time::{Duration, Instant};

use rpcplugin_proto::{Empty, GrpcControllerClient};
use tokio::time::{sleep, timeout};
use tonic::Code;
use tracing::Instrument as _;

use super::{Ownership, Plugin};
use crate::{
    exit::{Exit, ExitReason},
    os::Signal,
};

impl Plugin {
    /// Shuts the plugin down: asks it to end, waits for [`HostConfig::grace`](rpcplugin_config::HostConfig::grace),
    /// then kills its process group. [`HostConfig::terminate_after`](rpcplugin_config::HostConfig::terminate_after)
    /// adds a SIGTERM in between. A plugin without a controller service gets the SIGTERM at once.
    ///
    /// A plugin in test mode is left running: [`Exit::Detached`].
    ///
    /// Returns how the plugin ended. [`Exit::StillRunning`] if it could not be killed. Takes no longer than the grace
    /// period and three times [`HostConfig::drain_timeout`](rpcplugin_config::HostConfig::drain_timeout), and five
    /// seconds more if the process survives SIGKILL.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn shut_down(self) -> Exit {
        let grace = self.config.grace;
        self.shut_down_within(grace).await
    }

    /// As [`shut_down`](Self::shut_down), but with this grace period.
    ///
    /// # Protocol
    /// go-plugin `client.go` `Kill`: the broker, then the call, whose outcome is ignored because a Go plugin closes
    /// the connection instead of answering, then the wait. Differs: every step has a timeout, and the whole process
    /// group is killed.
    pub async fn shut_down_within(self, grace: Duration) -> Exit {
        let lifetime = self.observed.span.clone();
        let span = tracing::debug_span!(parent: &lifetime, "shutdown", elapsed = tracing::field::Empty);
        let begun = Instant::now();
        // Boxed, because hosts do this from within large futures of their own.
        let exit = Box::pin(self.end_within(grace)).instrument(span.clone()).instrument(lifetime).await;
        span.record("elapsed", tracing::field::debug(begun.elapsed()));
        exit
    }

    async fn end_within(mut self, grace: Duration) -> Exit {
        let begun = Instant::now();
        self.streams.stop_reopening();
        if self.ownership == Ownership::TestMode {
            self.session.broker.close();
            return Exit::Detached;
        }
        // The plugin may have closed the connection. A closed broker opens no other where connections are multiplexed.
        let connecting = timeout(self.config.shutdown_timeout.min(grace), self.session.channel.connect());
        tokio::select! {
            _ = connecting => {}
            _ = self.process.exited() => {}
        }
        self.session.broker.close();
        let left = grace.saturating_sub(begun.elapsed());
        let exit = match timeout(left, self.ask_to_end(left)).await {
            Ok((reason, sent)) => Exit::after_asking(reason, sent, begun.elapsed()),
            Err(_) => {
                tracing::warn!(parent: None, plugin = &*self.id().name, "the plugin ignored the shutdown; killing it");
                self.kill_after(begun).await
            }
        };
        self.drain().await;
        self.remove_sockets(&exit);
        tracing::info!(parent: None, plugin = &*self.id().name, %exit, "plugin stopped");
        exit
    }

    /// Removes the directory of the sockets of a plugin that has ended. Tasks of the broker that end a moment later
    /// hold the directory too.
    fn remove_sockets(&self, exit: &Exit) {
        if *exit != Exit::StillRunning {
            self.session.sockets.remove();
        }
    }

    /// Kills a plugin that was asked to end at `begun`, and waits for its exit.
    async fn kill_after(&self, begun: Instant) -> Exit {
        self.process.kill();
        let sent = self.process.reached_by(Signal::KILL);
        // Also with a short drain timeout, a process needs a moment to exit.
        let limit = self.config.drain_timeout.max(sent.map_or(Duration::ZERO, |_| DYING));
        match timeout(limit, self.process.exited()).await {
            Ok(reason) => Exit::after_asking(reason, sent, begun.elapsed()),
            // A process in uninterruptible I/O survives SIGKILL.
            Err(_) => Exit::StillRunning,
        }
    }

    /// Waits until the plugin's pipes and streams have been read, and until its tasks have ended, so that its span
    /// ends. Each wait is limited, because a process that the plugin left behind may hold the pipes open.
    async fn drain(&mut self) {
        let drain = self.config.drain_timeout;
        let _ = tokio::join!(
            timeout(drain, self.streams.broker_ended()),
            timeout(drain, self.session.broker.drained()),
            // Twice as long as the output tasks may take, so that the exit is published before this returns.
            timeout(2 * drain, self.process.finished()),
        );
    }

    /// Kills the plugin and its process group at once, and waits for the exit, but no longer than
    /// [`HostConfig::drain_timeout`](rpcplugin_config::HostConfig::drain_timeout) or five seconds, whichever is more.
    /// A plugin in test mode is left running: [`Exit::Detached`].
    ///
    /// Returns how the plugin ended. [`Exit::StillRunning`] if it could not be killed, or has not exited yet.
    ///
    /// # Cancel safety
    /// The plugin is killed even if the future is dropped.
    pub async fn kill(mut self) -> Exit {
        self.streams.stop_reopening();
        self.session.broker.close();
        if self.ownership == Ownership::TestMode {
            return Exit::Detached;
        }
        let exit = self.kill_after(Instant::now()).await;
        self.drain().await;
        self.remove_sockets(&exit);
        exit
    }

    /// Asks the plugin to end and waits for its exit, with SIGTERM in between where that is configured, or where the
    /// plugin has no controller service. Returns the signal if it was sent.
    async fn ask_to_end(&self, grace: Duration) -> (ExitReason, Option<Signal>) {
        let mut controller = GrpcControllerClient::new(self.session.channel.clone());
        let asking = timeout(self.config.shutdown_timeout.min(grace), controller.shutdown(Empty {}));
        let no_controller = async {
            match asking.await {
                Ok(Err(status)) if status.code() == Code::Unimplemented => {}
                _ => std::future::pending().await,
            }
        };
        let terminate_after = async {
            match self.config.terminate_after {
                Some(time) => sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = self.process.exited() => return (reason, None),
            () = no_controller => tracing::debug!(plugin = %self.id(), "the plugin has no controller"),
            () = terminate_after => {}
        }
        self.process.terminate();
        (self.process.exited().await, self.process.reached_by(Signal::TERM))
    }
}

/// The shortest wait for the exit of a killed process. Most exit at once. A busy machine needs a moment, and a
/// process in uninterruptible I/O may stay.
const DYING: Duration = Duration::from_secs(5);
