//! Supervision: the host makes a new pod when one ends, and the kubelet restarts nothing.

use bytes::Bytes;
use rpcplugin::host::SupervisionState;
use rpcplugin_kube::{
    k8s_openapi::api::core::v1::Pod,
    kube::{ResourceExt as _, api::DeleteParams},
};
use rpcplugin_tests::{
    pb::{EchoRequest, ExitRequest, InfoRequest},
    support::process::try_send,
};
use rustix::process::Signal;
use tokio::time::timeout;

use super::support::{Fleet, Namespace, RUST, TIMEOUT, eventually, host, kit, process_of};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_pod_that_ends_is_replaced_and_the_channel_follows() {
    let namespace = Namespace::create().await;
    let plugin = host().supervise_with(namespace.plugin(RUST)).await.unwrap();
    let mut kit = kit(plugin.channel());
    let first = namespace.pod().await.name_any();

    kit.exit(ExitRequest { code: 1 }).await.unwrap_err();
    let second = timeout(TIMEOUT, plugin.later_generation(1)).await.unwrap().expect("a second generation");
    assert_eq!(second.number(), 2);
    let data = Bytes::from_static(b"again");
    assert_eq!(kit.echo(EchoRequest { data: data.clone() }).await.unwrap().into_inner().data, data);
    eventually("only the second pod is left", async || {
        let pods = namespace.pods().await;
        pods.len() == 1 && pods[0].name_any() != first
    })
    .await;

    let name = namespace.pod().await.name_any();
    namespace.api::<Pod>().delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
    let third = timeout(TIMEOUT, plugin.later_generation(2)).await.unwrap().expect("a third generation");
    assert_eq!(third.number(), 3);
    kit.info(InfoRequest {}).await.unwrap();
    assert!(matches!(plugin.state(), SupervisionState::Ready(_)), "{:?}", plugin.state());
    let restarts = namespace.pod().await.status.unwrap().container_statuses.unwrap()[0].restart_count;
    assert_eq!(restarts, 0);

    plugin.shut_down().await.expect("the plugin runs");
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_plugin_of_a_fleet_of_twenty_that_is_killed_comes_back() {
    let namespace = Namespace::create().await;
    let mut fleet = Fleet::start(&namespace, 20, &[]);
    fleet.prints("20 plugins are ready").await;
    fleet.prints("20 of 20 plugins answer").await;

    let pods = namespace.pods().await;
    assert_eq!(pods.len(), 20);
    let killed = &pods[7];
    let name = killed.metadata.labels.as_ref().unwrap()["rpcplugin/plugin"].clone();
    try_send(process_of(killed, "kit-plugin").expect("the process of a plugin"), Signal::KILL).unwrap();
    let end = fleet.prints(&format!("{name}: generation 1 ended")).await;
    assert!(end.contains("signal 9"), "{end}");
    fleet.prints(&format!("{name}: generation 2 is ready")).await;
    fleet.prints("20 of 20 plugins answer").await;
    eventually("the killed pod is replaced", async || {
        let now = namespace.pods().await;
        now.len() == 20 && now.iter().all(|pod| pod.metadata.uid != killed.metadata.uid)
    })
    .await;

    fleet.send(Signal::TERM);
    fleet.prints("20 of 20 plugins ended cleanly").await;
    fleet.ended().await;
    namespace.emptied().await;
}
