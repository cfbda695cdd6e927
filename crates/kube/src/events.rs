//! What the events of the cluster say about a pod. Without the permission to list events they say nothing.

use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};
use tokio::time::timeout;

use crate::{pod_ref::PodRef, text::line};

/// The message of the newest warning about the pod.
pub(crate) async fn last_warning(pod: &PodRef) -> Option<String> {
    // `Error: ImagePullBackOff` repeats the reason of the container and explains nothing.
    newest(pod, "type=Warning", |event| {
        event.message.as_deref().is_some_and(|text| !text.starts_with("Error: "))
    })
    .await
}

/// The message of the node's eviction of the pod. A plugin that exits at once takes the eviction out of the status of its pod.
pub(crate) async fn eviction(pod: &PodRef) -> Option<String> {
    newest(pod, "reason=Evicted", |event| event.reason.as_deref() == Some("Evicted")).await
}

/// The message of the newest of these events.
async fn newest(pod: &PodRef, field: &str, is_meant: impl Fn(&Event) -> bool) -> Option<String> {
    let api: Api<Event> = Api::namespaced(pod.api.clone().into_client(), &pod.namespace);
    let about = match &pod.uid {
        Some(uid) => format!("involvedObject.uid={uid},{field}"),
        None => format!("involvedObject.name={},{field}", pod.name),
    };
    let events = timeout(ANSWER, api.list(&ListParams::default().fields(&about))).await.ok()?.ok()?;
    let time = |event: &Event| {
        event
            .last_timestamp
            .as_ref()
            .map(|time| time.0)
            .or_else(|| event.event_time.as_ref().map(|time| time.0))
    };
    let newest = events.items.into_iter().filter(is_meant).max_by_key(time)?;
    Some(line(&newest.message?)).filter(|message| !message.is_empty())
}

/// The time for the answer of the API server.
const ANSWER: Duration = Duration::from_secs(1);
