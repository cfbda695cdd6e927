//! A pod of this host in the cluster, and its deletion.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Preconditions},
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::error::{describe, is_not_found};

/// A pod that this host created, or is about to create. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PodRef {
    pub(crate) api: Api<Pod>,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    /// The uid that the API server gave to the pod. `None` while the pod is being created.
    pub(crate) uid: Option<Arc<str>>,
    /// Runs deletions that nothing waits for.
    pub(crate) runtime: Handle,
    #[expect(dead_code, reason = "its end counts")]
    pub(crate) counted: Arc<Counted>,
}

/// A pod of this process that is counted as long as anything here needs it, or is about to delete it.
pub(crate) struct Counted(());

static COUNT: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

impl Counted {
    pub(crate) fn new() -> Arc<Self> {
        COUNT.send_modify(|count| *count += 1);
        Arc::new(Self(()))
    }

    /// Resolves when no pod is counted.
    pub(crate) async fn none() {
        // The sender is static.
        let _ = COUNT.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COUNT.send_modify(|count| *count -= 1);
    }
}

/// How long one request to the API server may take.
pub(crate) const REQUEST: Duration = Duration::from_secs(15);

impl PodRef {
    /// `namespace/name`.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether this object of the API server is the pod, and not a later one of the same name.
    pub(crate) fn is(&self, pod: &Pod) -> bool {
        self.uid.is_none() || self.uid.as_deref() == pod.metadata.uid.as_deref()
    }

    /// Asks the API server to delete the pod. The kubelet sends SIGTERM to the plugin, and SIGKILL after the grace. `None` is the grace
    /// of the pod. 0 s removes the pod from the API server before the node has ended the container. Returns whether the pod was there.
    ///
    /// # Cancel safety
    /// The request may have been sent when the future is dropped.
    pub(crate) async fn delete(&self, grace: Option<u32>) -> Result<bool, String> {
        let parameters = DeleteParams {
            grace_period_seconds: grace,
            preconditions: self
                .uid
                .as_ref()
                .map(|uid| Preconditions { uid: Some(uid.to_string()), resource_version: None }),
            ..DeleteParams::default()
        };
        match timeout(REQUEST, self.api.delete(&self.name, &parameters)).await {
            Ok(Ok(_)) => Ok(true),
            // A conflict: another pod has the name now.
            Ok(Err(error)) if is_not_found(&error) || is_conflict(&error) => Ok(false),
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err("the API server does not answer".to_owned()),
        }
    }

    /// Deletes the pod in a task that nothing waits for. The task tries again for a minute. A runtime that shuts down drops the task: the
    /// pod then ends by its owner reference or by its orphan timeout. [`Counted::none`] waits for the task.
    pub(crate) fn delete_in_background(self) {
        let runtime = self.runtime.clone();
        runtime.spawn(async move {
            let give_up = Instant::now() + LAST_ATTEMPTS;
            let mut pause = Duration::from_millis(200);
            while let Err(error) = self.delete(Some(1)).await {
                if Instant::now() + pause > give_up {
                    tracing::warn!(
                        pod = self.id(),
                        error,
                        "the pod of a plugin may be left, because it could not be deleted"
                    );
                    return;
                }
                sleep(pause).await;
                pause *= 2;
            }
        });
    }
}

impl fmt::Debug for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

/// How long a deletion that nothing waits for is tried.
const LAST_ATTEMPTS: Duration = Duration::from_secs(60);

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict())
}
