//! The reaper: pods whose host is gone.
//!
//! A host deletes its pods. Pods of a host that was killed end by their owner reference, or by their orphan timeout, and those that have
//! ended stay in the API server. The next host that starts a plugin in the namespace deletes them.

use std::{collections::HashMap, time::Duration};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Preconditions},
};
use tokio::time::timeout;

use crate::{
    error::describe,
    host_id::{HostId, ProcessId},
    pod_ref::REQUEST,
    status::finished,
};

/// The label of all pods of this crate, with its value.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "rpcplugin");
/// The label with the name of the plugin.
pub(crate) const PLUGIN: &str = "rpcplugin/plugin";
/// The label with the host.
pub(crate) const HOST: &str = "rpcplugin/host";
/// The annotation with `namespace/name` of the host's own pod.
pub(crate) const HOST_POD: &str = "rpcplugin/host-pod";

/// Deletes the pods of this namespace whose host is known to be gone. Failures are no concern of the host that starts a plugin.
pub(crate) async fn reap(client: Client, namespace: &str, me: &HostId) {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let ours = ListParams::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    let pods = match timeout(REQUEST, api.list(&ours)).await {
        Ok(Ok(pods)) => pods.items,
        Ok(Err(error)) => {
            return tracing::debug!(error = describe(&error), "orphaned pods are not looked for");
        }
        Err(_) => return tracing::debug!("orphaned pods are not looked for: the API server does not answer"),
    };
    let mut hosts = Hosts { client, known: HashMap::new() };
    let mut removed = 0_u32;
    for pod in pods {
        if is_orphan(&pod, me, &mut hosts).await && delete(&api, &pod).await {
            removed += 1;
        }
    }
    if removed > 0 {
        tracing::info!(removed, namespace, "removed pods of hosts that are gone");
    }
}

/// Whether the host of the pod is known to be gone, or has had the time to delete the pod after its end.
async fn is_orphan(pod: &Pod, me: &HostId, hosts: &mut Hosts) -> bool {
    let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get(HOST)).map_or("", String::as_str);
    if label == me.label || pod.metadata.deletion_timestamp.is_some() {
        return false;
    }
    if finished(pod).is_some_and(|since| Timestamp::now().duration_since(since) > FORGOTTEN) {
        return true;
    }
    if let Some(process) = ProcessId::parse(label) {
        return process.is_gone();
    }
    let Some(uid) = label.strip_prefix("pod-") else { return false };
    let host = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(HOST_POD));
    let Some((namespace, name)) = host.and_then(|host| host.split_once('/')) else { return false };
    hosts.is_gone(namespace, name, uid).await
}

/// The pods of hosts. Each is asked for once.
struct Hosts {
    client: Client,
    known: HashMap<String, bool>,
}

impl Hosts {
    async fn is_gone(&mut self, namespace: &str, name: &str, uid: &str) -> bool {
        if let Some(known) = self.known.get(uid) {
            return *known;
        }
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let is_gone = match timeout(REQUEST, api.get_opt(name)).await {
            Ok(Ok(None)) => true,
            Ok(Ok(Some(host))) => host.metadata.uid.as_deref() != Some(uid) || finished(&host).is_some(),
            // Without an answer the host may live.
            Ok(Err(_)) | Err(_) => false,
        };
        self.known.insert(uid.to_owned(), is_gone);
        is_gone
    }
}

async fn delete(api: &Api<Pod>, pod: &Pod) -> bool {
    let Some(name) = &pod.metadata.name else { return false };
    let this_one = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(this_one), ..DeleteParams::default() };
    match timeout(REQUEST, api.delete(name, &parameters)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::debug!(pod = name, error = describe(&error), "an orphaned pod stays");
            false
        }
        Err(_) => false,
    }
}

/// The time after the end of a pod in which its host, if it lives, has deleted the pod.
const FORGOTTEN: k8s_openapi::jiff::SignedDuration = k8s_openapi::jiff::SignedDuration::from_secs(300);

/// The time that one run may take.
pub(crate) const REAPING: Duration = Duration::from_secs(60);
