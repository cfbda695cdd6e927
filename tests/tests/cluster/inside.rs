//! A host inside the cluster: the example `fleet` with the account, the deployment and the policy of the manifests.

use rpcplugin_kube::{
    k8s_openapi::api::{core::v1::Pod, networking::v1::NetworkPolicy},
    kube::{
        ResourceExt as _,
        api::{DeleteParams, ListParams},
    },
};

use super::support::{Namespace, eventually};

/// The plugins of a fleet. The other pod is the host.
const PLUGINS: &str = "app.kubernetes.io/managed-by=rpcplugin";
const HOST: &str = "app=plugin-host";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_host_in_a_pod_reaches_its_plugins_by_their_addresses() {
    let namespace = Namespace::create().await;
    namespace.apply("host-role.yaml");
    // Without port-forward, as the host has the addresses of its plugins.
    namespace.apply_role_without("pods/portforward", "create");
    namespace.apply("network-policy.yaml");
    namespace.deploy_fleet(3, &[]);
    let host = namespace.only(HOST).await.name_any();
    namespace.log_with(&host, "3 plugins are ready").await;
    namespace.log_with(&host, "3 of 3 plugins answer").await;

    // The policy selects the plugins, and not the host. This node has no program that enforces it.
    let policy = namespace.api::<NetworkPolicy>().get("plugins").await.unwrap();
    let labels = policy.spec.unwrap().pod_selector.unwrap_or_default().match_labels.unwrap();
    let selector = labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let selected = namespace.select(&selector).await;
    assert_eq!(selected.len(), 3);
    for pod in selected {
        let owners = pod.owner_references();
        assert_eq!(owners.len(), 1, "{owners:?}");
        assert_eq!((owners[0].kind.as_str(), &*owners[0].name), ("Pod", &*host));
    }

    // Asked to end, the host shuts its plugins down.
    namespace.scale_fleet_down();
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn the_cluster_deletes_the_plugins_of_a_host_that_is_gone() {
    let namespace = Namespace::create().await;
    namespace.apply("host-role.yaml");
    // The plugins alone would not end: no timeout for orphans.
    namespace.deploy_fleet(3, &[("PLUGIN_ORPHAN_TIMEOUT", "0s")]);
    let host = namespace.only(HOST).await.name_any();
    namespace.log_with(&host, "3 plugins are ready").await;
    let plugins: Vec<String> = namespace.select(PLUGINS).await.iter().map(Pod::name_any).collect();
    assert_eq!(plugins.len(), 3);

    // A grace of zero is SIGKILL at once.
    let params = DeleteParams::default().grace_period(0);
    namespace.api::<Pod>().delete(&host, &params).await.unwrap();
    eventually("the plugins of the host are gone", async || {
        let left = namespace.api::<Pod>().list(&ListParams::default()).await.unwrap();
        left.iter().all(|pod| !plugins.contains(&pod.name_any()))
    })
    .await;
    namespace.scale_fleet_down();
    namespace.emptied().await;
}
