//! What ends a plugin and the program in its place.

use std::{future::pending, time::Duration};

use rpcplugin::host::{ChildProcess, ExitReason, PluginProcess as _};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    exit::Exit,
    os::{self, HostExit, PassedSignals, send_signal},
};

/// What ends a plugin beside itself.
#[derive(Debug)]
pub(crate) struct Ends {
    /// The signals of this process, which the plugin gets too.
    pub(crate) signals: PassedSignals,
    /// The host, if the plugin ends with it.
    pub(crate) host: Option<HostExit>,
    /// How long the plugin runs without a connected host.
    pub(crate) orphan_timeout: Option<Duration>,
    /// How long the plugin may take to end by itself, once it has to.
    pub(crate) grace: Duration,
}

/// Does `work` until the plugin has exited. The plugin is asked to end when the host exits, when no host has been connected for the
/// orphan timeout, and when `work` is done.
///
/// `hosts` is the number of connected hosts.
pub(crate) async fn until_exit(
    plugin: &mut ChildProcess,
    mut ends: Ends,
    mut hosts: watch::Receiver<usize>,
    work: impl Future<Output = ()>,
) -> ExitReason {
    let mut alone_since = Some(Instant::now());
    tokio::pin!(work);
    loop {
        let orphaned = async {
            match (ends.orphan_timeout, alone_since) {
                (Some(timeout), Some(since)) => sleep_until(since + timeout).await,
                _ => pending().await,
            }
        };
        let host_exited = async {
            match &ends.host {
                Some(host) => host.exited().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            reason = plugin.wait() => return reason,
            signal = ends.signals.next() => {
                if let Some(pid) = plugin.pid() {
                    send_signal(pid, signal);
                }
            }
            () = host_exited => {
                tracing::info!("the host has exited, and its plugin ends");
                return end(plugin, ends.grace).await;
            }
            () = orphaned => {
                tracing::info!(timeout = ?ends.orphan_timeout, "no host has been connected, and the plugin ends");
                return end(plugin, ends.grace).await;
            }
            Ok(()) = hosts.changed() => {
                alone_since = (*hosts.borrow_and_update() == 0).then(Instant::now);
            }
            () = &mut work => return end(plugin, ends.grace).await,
        }
    }
}

/// Asks the plugin to end, and kills it after `grace`.
async fn end(plugin: &mut ChildProcess, grace: Duration) -> ExitReason {
    plugin.terminate().await;
    if let Ok(reason) = timeout(grace, plugin.wait()).await {
        return reason;
    }
    plugin.kill().await;
    // A process in uninterruptible I/O is left to the system.
    timeout(KILL_TIMEOUT, plugin.wait()).await.unwrap_or(ExitReason::Unknown)
}

/// Ends the process as the plugin ended: by the same signal, or with the exit code that is returned.
pub(crate) fn end_as(reason: &ExitReason) -> Exit {
    match reason {
        ExitReason::Status(status) => Exit::OfPlugin(u8::try_from(*status).unwrap_or(u8::MAX)),
        ExitReason::Signal(signal) => {
            os::end_by(*signal);
            // As shells report it.
            Exit::OfPlugin(u8::try_from(signal.number()).map_or(u8::MAX, |number| number.saturating_add(128)))
        }
        _ => Exit::Failed,
    }
}

const KILL_TIMEOUT: Duration = Duration::from_secs(5);
