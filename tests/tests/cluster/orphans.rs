//! Hosts that are killed: their plugins end by themselves, inside the cluster and outside.

use rpcplugin_kube::k8s_openapi::api::core::v1::Pod;
use rpcplugin_tests::support::process::try_send;
use rustix::process::Signal;

use super::support::{Fleet, Namespace, RUST, eventually, host, process_of};

/// Whether the program of a pod has ended, with its container.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn the_plugins_of_a_host_outside_that_is_killed_end_by_themselves() {
    let namespace = Namespace::create().await;
    let mut fleet = Fleet::start(&namespace, 2, &[("PLUGIN_ORPHAN_TIMEOUT", "3s")]);
    fleet.prints("2 of 2 plugins answer").await;
    fleet.send(Signal::KILL);
    fleet.ended().await;
    eventually("no plugin runs", async || namespace.pods().await.iter().all(has_ended)).await;
    // The next host in the namespace deletes what is left of the pods.
    let plugin = host().launch_with(&namespace.plugin(RUST)).await.unwrap();
    eventually("the pods of the killed host are gone", async || namespace.pods().await.len() == 1).await;
    plugin.shut_down().await;
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn the_plugins_of_a_host_inside_that_is_killed_end_and_new_ones_serve_the_next() {
    let namespace = Namespace::create().await;
    namespace.apply("host-role.yaml");
    namespace.deploy_fleet(2, &[("PLUGIN_ORPHAN_TIMEOUT", "3s")]);
    let host = namespace.only("app=plugin-host").await;
    let name = host.metadata.name.clone().unwrap();
    namespace.log_with(&name, "2 of 2 plugins answer").await;
    let first = namespace.select("app.kubernetes.io/managed-by=rpcplugin").await;

    // The kubelet starts the host again in the same pod.
    try_send(process_of(&host, "fleet").expect("the process of the host"), Signal::KILL).unwrap();
    eventually("the first plugins have ended", async || {
        let now = namespace.pods().await;
        let running = |pod: &&Pod| !has_ended(pod) && pod.metadata.deletion_timestamp.is_none();
        let of_first = |pod: &&Pod| first.iter().any(|one| one.metadata.uid == pod.metadata.uid);
        now.iter().filter(running).filter(of_first).count() == 0
    })
    .await;
    namespace.log_with(&name, "2 of 2 plugins answer").await;
    namespace.scale_fleet_down();
    // With the pod of the host, the cluster deletes what is left.
    namespace.emptied().await;
}
