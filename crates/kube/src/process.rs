//! The plugin in its pod, as the host sees a process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rpcplugin_client::{ExitCause, ExitReason, ExitReport, PluginProcess};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    events::eviction,
    follow::{Follower, View},
    pod_ref::PodRef,
    status::{EndedBy, ending, gone, time_to_end},
};

/// A plugin in a pod. Dropping it asks the API server to delete the pod, in a task that nothing waits for.
#[derive(Debug)]
pub struct PodProcess {
    pod: PodRef,
    follower: Follower,
    /// Cancelled when all of the log has been read.
    log_read: CancellationToken,
    /// Whether this host has asked for the end of the pod.
    asked: Arc<AtomicBool>,
    /// When the pod is removed whether its node answers or not.
    force_at: Option<Instant>,
    /// When the deletion of the pod was first seen.
    deleted: Option<Instant>,
    /// How long the end of the log is waited for, once the container has ended.
    log_until: Option<Instant>,
    /// Whether the pod is known to be gone, or is left to others.
    released: bool,
}

impl PodProcess {
    pub(crate) fn new(pod: PodRef, follower: Follower, log_read: CancellationToken) -> Self {
        Self {
            pod,
            follower,
            log_read,
            asked: Arc::default(),
            force_at: None,
            deleted: None,
            log_until: None,
            released: false,
        }
    }

    /// The namespace of the pod.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.pod.namespace
    }

    /// The name of the pod.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.pod.name
    }

    fn ended_by(&self) -> EndedBy {
        if self.asked.load(Ordering::Relaxed) { EndedBy::Host } else { EndedBy::Other }
    }

    /// The end that the newest view of the pod shows.
    fn end(&mut self) -> Option<ExitReason> {
        let by = self.ended_by();
        let view: &View = &self.follower.view.borrow_and_update();
        if view.gone {
            self.released = true;
            return Some(gone(&view.pod, by));
        }
        if let Some(reason) = ending(&view.pod, by) {
            return Some(reason);
        }
        let time = time_to_end(&view.pod)?;
        let deleted = *self.deleted.get_or_insert_with(Instant::now);
        (deleted.elapsed() > time).then(|| {
            let message = "the pod is deleted, and its node does not say that the container has ended";
            ExitReport::new(ExitCause::Other, message).into()
        })
    }

    /// The eviction in place of the exit status, if the node evicted a plugin that then exited by itself.
    async fn explained(&self, reason: ExitReason) -> ExitReason {
        match (self.ended_by(), &reason) {
            (EndedBy::Other, ExitReason::Status(_) | ExitReason::Signal(_)) => {
                let report = eviction(&self.pod).await.map(|text| ExitReport::new(ExitCause::Evicted, text));
                match (report, reason.status()) {
                    (Some(report), Some(status)) => report.status(status).into(),
                    (Some(report), None) => report.into(),
                    (None, _) => reason,
                }
            }
            _ => reason,
        }
    }

    /// Reads the end of the log, and deletes the pod that has ended. May be repeated.
    async fn clean_up(&mut self) {
        let until = *self.log_until.get_or_insert_with(|| Instant::now() + END_OF_LOG);
        let _ = timeout_at(until, self.log_read.cancelled()).await;
        if self.released {
            return;
        }
        match timeout(CLEANING, self.pod.delete(Some(0))).await {
            Ok(Ok(_)) => self.released = true,
            // The drop of the process tries on.
            Ok(Err(error)) => tracing::debug!(pod = self.pod.id(), error, "the pod is not deleted yet"),
            Err(_) => tracing::debug!(pod = self.pod.id(), "the pod is not deleted yet"),
        }
    }

    async fn ask(&self, grace: Option<u32>) {
        let deleted = timeout(ASKING, self.pod.delete(grace)).await;
        if let Err(error) = deleted.unwrap_or_else(|_| Err("it does not answer".to_owned())) {
            tracing::warn!(pod = self.pod.id(), error, "the API server does not delete the pod of a plugin");
        }
    }
}

impl PluginProcess for PodProcess {
    /// `namespace/name` of the pod.
    fn id(&self) -> String {
        self.pod.id()
    }

    async fn wait(&mut self) -> ExitReason {
        loop {
            if let Some(reason) = self.end() {
                let reason = self.explained(reason).await;
                self.clean_up().await;
                return reason;
            }
            let force = async {
                match self.force_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.follower.view.changed() => if changed.is_err() {
                    // The runtime shuts down.
                    return ExitReason::Unknown;
                },
                () = force => {
                    self.force_at = None;
                    self.ask(Some(0)).await;
                }
                // A node that is silent is noticed by the time alone.
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Deletes the pod with its grace: the kubelet sends SIGTERM, and SIGKILL after [`Pod::grace`](crate::Pod::grace).
    async fn terminate(&mut self) {
        self.asked.store(true, Ordering::Relaxed);
        self.ask(None).await;
    }

    /// Deletes the pod with a grace of a second, so that the node reports how the plugin ended. After three seconds the pod is removed
    /// from the API server, whether its node answers or not.
    async fn kill(&mut self) {
        self.asked.store(true, Ordering::Relaxed);
        self.force_at = Some(Instant::now() + FORCE);
        self.ask(Some(1)).await;
    }

    /// Leaves the pod running. An owner reference stays: [`Pod::owner`](crate::Pod::owner).
    async fn leave(mut self) {
        self.released = true;
    }
}

impl Drop for PodProcess {
    fn drop(&mut self) {
        if !self.released {
            self.pod.clone().delete_in_background();
        }
    }
}

/// The time for the end of the log, after the end of the container.
const END_OF_LOG: Duration = Duration::from_secs(3);
/// The time for the answer to a request that ends the plugin. A kill waits for it too.
const ASKING: Duration = Duration::from_secs(2);
/// The time for the deletion of a pod that has ended.
const CLEANING: Duration = Duration::from_secs(3);
/// The time from a kill until the pod is removed without its node.
const FORCE: Duration = Duration::from_secs(3);
/// The longest time between two looks at the clock.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
