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
    /// Ends the plugin: asks it to shut down, waits for [`HostConfig::grace`], and kills it with its process group if
    /// it has not ended then. [`HostConfig::terminate_after`] puts a SIGTERM between; a plugin that does not know the
    /// call is sent one at once.
    ///
    /// A plugin in test mode is left alone: [`Exit::Detached`].
    ///
    /// Returns how it ended, and [`Exit::StillRunning`] if it could not be killed. Takes no longer than the grace period
    /// and three times [`HostConfig::drain`], whatever the plugin does or leaves behind, and five seconds more should the
    /// system not let go of it.
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
    /// go-plugin `client.go` `Kill`: the broker, then the call, whose outcome says nothing because a Go plugin cuts
    /// the connection in place of an answer, then the wait. Differs: every step has a deadline, and the whole process
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
        // The plugin may have ended the connection. Multiplexed, a broker that is closed opens no other.
        let connecting = timeout(self.config.shutdown_timeout.min(grace), self.session.channel.connect());
        tokio::select! {
            _ = connecting => {}
            _ = self.process.exited() => {}
        }
        self.session.broker.close();
        let left = grace.saturating_sub(begun.elapsed());
        let exit = match timeout(left, self.end_in_stages(left)).await {
            Ok((reason, sent)) => Exit::after_asking(reason, sent, begun.elapsed()),
            Err(_) => {
                tracing::warn!(parent: None, plugin = &*self.id().name, "the plugin ignored the shutdown; killing it");
                self.kill_after(begun).await
            }
        };
        self.drain().await;
        self.remove_sockets(exit);
        tracing::info!(parent: None, plugin = &*self.id().name, %exit, "plugin stopped");
        exit
    }

    /// Removes the directory of a plugin that has ended. Tasks of the broker that end a moment later hold it too.
    fn remove_sockets(&self, exit: Exit) {
        if exit != Exit::StillRunning {
            self.session.sockets.remove();
        }
    }

    /// Kills the plugin that was to end since `begun`, and waits for its end.
    async fn kill_after(&self, begun: Instant) -> Exit {
        self.process.kill();
        let sent = self.process.reached_by(Signal::KILL);
        // However little the pipes are worth, a process takes a moment to be seen dead.
        let patience = self.config.drain_timeout.max(sent.map_or(Duration::ZERO, |_| DYING));
        match timeout(patience, self.process.exited()).await {
            Ok(reason) => Exit::after_asking(reason, sent, begun.elapsed()),
            // The system may keep a process that waits for a device beyond SIGKILL.
            Err(_) => Exit::StillRunning,
        }
    }

    /// Waits until what is left in the plugin's pipes and streams has been read, and until the tasks of the plugin have ended,
    /// so that its span ends with it. Bounded: a process that the plugin left behind may hold the pipes open.
    async fn drain(&mut self) {
        let drain = self.config.drain_timeout;
        let _ = tokio::join!(
            timeout(drain, self.streams.broker_ended()),
            timeout(drain, self.session.broker.drained()),
            // They are given up by then; longer, so that the end is told before this returns.
            timeout(2 * drain, self.process.finished()),
        );
    }

    /// Kills the plugin at once, with its process group, and waits for its end, but no longer than
    /// [`HostConfig::drain`] or five seconds, whichever is more. A plugin in test mode is left alone: [`Exit::Detached`].
    ///
    /// Returns how it ended; [`Exit::StillRunning`] if it could not be killed, or has not ended yet.
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
        self.remove_sockets(exit);
        exit
    }

    /// Asks the plugin to end and waits until it has, with SIGTERM on the way where that is configured, or is the only
    /// way to ask. Tells of the signal if it was sent.
    async fn end_in_stages(&self, grace: Duration) -> (ExitReason, Option<Signal>) {
        let mut controller = GrpcControllerClient::new(self.session.channel.clone());
        let asking = timeout(self.config.shutdown_timeout.min(grace), controller.shutdown(Empty {}));
        let not_understood = async {
            match asking.await {
                Ok(Err(status)) if status.code() == Code::Unimplemented => {}
                _ => std::future::pending().await,
            }
        };
        let patience = async {
            match self.config.terminate_after {
                Some(patience) => sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = self.process.exited() => return (reason, None),
            () = not_understood => tracing::debug!(plugin = %self.id(), "the plugin has no controller"),
            () = patience => {}
        }
        self.process.terminate();
        (self.process.exited().await, self.process.reached_by(Signal::TERM))
    }
}

/// How long a process that was killed is given to be seen dead, at the least. Most are at once; a busy machine takes its
/// time, and one that waits for a device may stay.
const DYING: Duration = Duration::from_secs(5);
