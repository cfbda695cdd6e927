//! The reaper.

use super::*;
use server::{FakeCluster, Reaction};

/// A pod of some host, with this phase, that ended or was created at this time.
fn pod_of(name: &str, host: &str, phase: &str, at: &str, host_pod: Option<&str>) -> Value {
    json!({
        "metadata": {
            "name": name,
            "creationTimestamp": at,
            "labels": {"app.kubernetes.io/managed-by": "rpcplugin", "rpcplugin/host": host},
            "annotations": host_pod.map(|host| json!({"rpcplugin/host-pod": host})).unwrap_or_default(),
        },
        "spec": {"containers": [{"name": "plugin"}]},
        "status": {"phase": phase},
    })
}

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// Starts a pod, which starts the reaper, and returns the names of the other pods when the reaper has had its turn.
async fn left_after_a_start(cluster: &FakeCluster, reap: bool) -> Vec<String> {
    cluster.kubelet_reports(running());
    let started = start(&pod(cluster).name("mine").reap_orphans(reap)).await.unwrap();
    let listed = |cluster: &FakeCluster| cluster.requests().iter().any(|one| one.contains("labelSelector"));
    if reap {
        cluster.until("the reaper has listed the pods", listed).await;
        // The pod that is certainly an orphan goes last.
        cluster
            .until("the reaper is done", |cluster| !cluster.pods().contains(&"z-finished".to_owned()))
            .await;
    }
    drop(started);
    cluster
        .until("the own pod is deleted", |cluster| {
            !cluster.pods().iter().any(|name| name.starts_with("mine"))
        })
        .await;
    cluster.pods()
}

fn fill(cluster: &FakeCluster) {
    cluster.add_pod(pod_of("a-unknown", "unknown-1", "Running", LONG_AGO, None));
    cluster.add_pod(pod_of("b-elsewhere", "proc-ffffffffffffffff-1-1-1", "Running", LONG_AGO, None));
    cluster.add_pod(pod_of("c-host-gone", "pod-u1", "Running", LONG_AGO, Some("plugins/host-1")));
    cluster.add_pod(pod_of("d-host-lives", "pod-u2", "Running", LONG_AGO, Some("plugins/host-2")));
    let mut host = pod_of("host-2", "none", "Running", LONG_AGO, None);
    host["metadata"]["uid"] = "u2".into();
    cluster.add_pod(host);
    cluster.add_pod(pod_of("z-finished", "unknown-2", "Succeeded", LONG_AGO, None));
}

#[tokio::test]
async fn pods_whose_host_is_known_to_be_gone_are_deleted() {
    let cluster = FakeCluster::start().await;
    fill(&cluster);
    let left = left_after_a_start(&cluster, true).await;
    cluster
        .until("the pod of the gone host is deleted", |cluster| {
            !cluster.pods().contains(&"c-host-gone".into())
        })
        .await;
    for name in ["a-unknown", "b-elsewhere", "d-host-lives", "host-2"] {
        assert!(left.contains(&name.to_owned()), "{name} was deleted: {left:?}");
    }
}

#[tokio::test]
async fn nothing_is_deleted_where_that_is_not_wanted_or_not_allowed() {
    let cluster = FakeCluster::start().await;
    fill(&cluster);
    assert_eq!(left_after_a_start(&cluster, false).await.len(), 6);

    let cluster = FakeCluster::start().await;
    fill(&cluster);
    cluster.fail("labelSelector", usize::MAX, Reaction::Refuse(403, "User \"host\" cannot list"));
    cluster.kubelet_reports(running());
    let started = start(&pod(&cluster).name("mine")).await.unwrap();
    let listed = |cluster: &FakeCluster| cluster.requests().iter().any(|one| one.contains("labelSelector"));
    cluster.until("the reaper was refused", listed).await;
    assert_eq!(cluster.pods().len(), 7);
    drop(started);
}
