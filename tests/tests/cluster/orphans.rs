//! Hosts that are killed: their plugins end by themselves, inside the cluster and outside.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use rpcplugin_kube::k8s_openapi::api::core::v1::Pod;
use rpcplugin_tests::support::process::try_send;
use rustix::process::Signal;
use tokio::task::spawn_blocking;

use super::support::{COOKIE, Namespace, RUST, eventually, host};

/// Whether the program of a pod has ended, with its container.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn the_plugins_of_a_host_outside_that_is_killed_end_by_themselves() {
    let namespace = Namespace::create().await;
    let kubeconfig = namespace.kubeconfig();
    let fleet = std::env::var_os("RPCPLUGIN_FLEET").expect("the path of the example `fleet`");
    let mut killed = Command::new(fleet);
    killed.args([RUST, "2", COOKIE]).env("KUBECONFIG", kubeconfig.path()).env("PLUGIN_ORPHAN_TIMEOUT", "3s");
    let mut killed = killed.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(killed.stdout.take().unwrap()).lines().map_while(Result::ok);
    let ready = spawn_blocking(move || output.any(|line| line.contains("2 of 2 plugins answer")));
    assert!(ready.await.unwrap(), "the fleet is not ready");

    killed.kill().unwrap();
    killed.wait().unwrap();
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

/// The process of a program in a pod, as this machine sees it: the cgroup of a container has the uid of its pod in its path.
fn process_of(pod: &Pod, program: &str) -> Option<u32> {
    let uid = pod.metadata.uid.as_ref()?;
    let processes =
        std::fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.into_iter().find(|pid: &u32| {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        read("comm").trim() == program && read("cgroup").contains(uid)
    })
}
