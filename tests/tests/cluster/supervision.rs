//! Supervision: the host makes a new pod when one ends, and the kubelet restarts nothing.

use bytes::Bytes;
use rpcplugin::host::SupervisionState;
use rpcplugin_kube::{
    k8s_openapi::api::core::v1::Pod,
    kube::{ResourceExt as _, api::DeleteParams},
};
use rpcplugin_tests::pb::{EchoRequest, ExitRequest, InfoRequest};
use tokio::time::timeout;

use super::support::{Namespace, RUST, TIMEOUT, eventually, host, kit};

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
