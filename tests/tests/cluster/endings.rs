//! How plugins end in their pods, and how the host reports it.

use std::time::Duration;

use rpcplugin::{
    Exit, Plugin,
    host::{ExitCause, ExitReason, ExitReport, Signal},
};
use rpcplugin_kube::{
    Limits, Pod as PluginPod,
    k8s_openapi::api::core::v1::Pod,
    kube::{
        ResourceExt as _,
        api::{DeleteParams, EvictParams},
    },
};
use rpcplugin_tests::pb::{BigPayloadRequest, ExitRequest, InfoRequest, LogLineRequest, SleepRequest};
use tokio::time::{Instant, timeout};

use super::support::{Namespace, RUST, TIMEOUT, eventually, host, kit};

/// The report of a plugin that ends by itself.
async fn report(plugin: &Plugin) -> ExitReport {
    let reason = timeout(TIMEOUT, plugin.wait()).await.expect("the plugin ends");
    let ExitReason::Reported(report) = reason else { panic!("without a report: {reason:?}") };
    report
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_plugin_that_exceeds_its_memory_is_reported_as_such() {
    let namespace = Namespace::create().await;
    let pod = namespace.plugin(RUST).limits(Limits::new().memory(32 << 20));
    let plugin = host().launch_with(&pod).await.unwrap();
    let request = BigPayloadRequest { n: 512 << 20, seed: 1 };
    let status = kit(plugin.channel()).big_payload(request).await.unwrap_err();
    let report = report(&plugin).await;
    assert_eq!(report.cause, ExitCause::OutOfMemory, "{report:?}");
    let explained = plugin.explain(status).await;
    assert!(explained.message().contains("memory"), "{explained:?}");
    drop(plugin);
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_pod_that_is_deleted_from_outside_is_reported_as_removed() {
    let namespace = Namespace::create().await;
    let plugin = host().launch_with(&namespace.plugin(RUST)).await.unwrap();
    let name = namespace.pod().await.name_any();
    namespace.api::<Pod>().delete(&name, &DeleteParams::default()).await.unwrap();
    assert_eq!(report(&plugin).await.cause, ExitCause::Removed);
    drop(plugin);
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_pod_that_is_evicted_by_the_api_is_reported() {
    let namespace = Namespace::create().await;
    let plugin = host().launch_with(&namespace.plugin(RUST)).await.unwrap();
    let name = namespace.pod().await.name_any();
    namespace.api::<Pod>().evict(&name, &EvictParams::default()).await.unwrap();
    let cause = report(&plugin).await.cause;
    assert!(matches!(cause, ExitCause::Evicted | ExitCause::Removed), "{cause:?}");
    drop(plugin);
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_pod_that_its_node_evicts_is_reported_as_evicted() {
    let namespace = Namespace::create().await;
    // The log counts as storage.
    let pod = namespace.plugin(RUST).limits(Limits::new().storage(1 << 20));
    let plugin = host().launch_with(&pod).await.unwrap();
    let mut kit = kit(plugin.channel());
    let record =
        LogLineRequest { level: "info".to_owned(), message: "x".repeat(64 << 10), ..Default::default() };
    for _ in 0..64 {
        kit.log_line(record.clone()).await.unwrap();
    }
    let report = report(&plugin).await;
    assert_eq!(report.cause, ExitCause::Evicted, "{report:?}");
    drop(plugin);
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn the_exit_status_of_a_plugin_reaches_the_host() {
    let namespace = Namespace::create().await;
    let plugin = host().launch_with(&namespace.plugin(RUST)).await.unwrap();
    kit(plugin.channel()).exit(ExitRequest { code: 3 }).await.unwrap_err();
    assert_eq!(timeout(TIMEOUT, plugin.wait()).await.unwrap(), ExitReason::Status(3));
    drop(plugin);
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_shutdown_is_clean_and_ends_before_the_grace() {
    let namespace = Namespace::create().await;
    let plugin = host().launch_with(&namespace.plugin(RUST)).await.unwrap();
    let begin = Instant::now();
    assert_eq!(plugin.shut_down_within(TIMEOUT).await, Exit::Clean);
    assert!(begin.elapsed() < TIMEOUT / 2, "{:?}", begin.elapsed());
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn calls_in_flight_are_answered_when_their_plugin_is_asked_to_end() {
    let namespace = Namespace::create().await;
    // By the host's call, and by the SIGTERM with which the kubelet ends a pod that is deleted.
    for is_deleted in [false, true] {
        let plugin = host().launch_with(&waiting_for_calls(&namespace)).await.unwrap();
        let before = calls(&plugin).await;
        let sleep = |ms: u32| {
            let mut kit = kit(plugin.channel());
            tokio::spawn(async move { kit.sleep(SleepRequest { ms }).await })
        };
        let in_flight: Vec<_> = (0..16).map(|number| sleep(2000 + 50 * number)).collect();
        let wanted = before + in_flight.len() as i64;
        eventually("the calls are in flight", async || calls(&plugin).await > wanted).await;
        if is_deleted {
            let name = namespace.pod().await.name_any();
            namespace.api::<Pod>().delete(&name, &DeleteParams::default()).await.unwrap();
            timeout(TIMEOUT, plugin.wait()).await.expect("the plugin ends");
        } else {
            assert_eq!(plugin.shut_down().await, Exit::Clean);
        }
        for call in in_flight {
            timeout(TIMEOUT, call).await.unwrap().unwrap().expect("a call in flight is answered");
        }
    }
    namespace.emptied().await;
}

/// A plugin that waits longer for its calls than its default of a second, after which it ends the calls itself.
fn waiting_for_calls(namespace: &Namespace) -> PluginPod {
    namespace.plugin(RUST).env("PLUGIN_GRPC_GRACE_PERIOD", "60s").grace(Duration::from_secs(60))
}

/// The number of calls that the plugin has begun, and this one.
async fn calls(plugin: &Plugin) -> i64 {
    kit(plugin.channel()).info(InfoRequest {}).await.unwrap().into_inner().calls
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_kill_and_a_drop_leave_no_pod() {
    let namespace = Namespace::create().await;
    // A kill is SIGTERM, and SIGKILL after a second. This plugin waits for its call, and takes longer.
    let plugin = host().launch_with(&waiting_for_calls(&namespace)).await.unwrap();
    let before = calls(&plugin).await;
    let mut sleeping = kit(plugin.channel());
    let call = tokio::spawn(async move { sleeping.sleep(SleepRequest { ms: 60_000 }).await });
    eventually("the call is in flight", async || calls(&plugin).await > before + 1).await;
    let exit = plugin.kill().await;
    assert!(matches!(exit, Exit::Killed { signal: Signal::KILL, .. }), "{exit:?}");
    call.await.unwrap().unwrap_err();
    eventually("the killed pod is gone", async || namespace.pods().await.is_empty()).await;

    // A plugin without a call ends by the SIGTERM. Its node has three seconds to report the exit status. Then the pod is removed, and
    // counts as killed.
    let plugin = host().launch_with(&namespace.plugin(RUST)).await.unwrap();
    let exit = plugin.kill().await;
    let is_reported = exit == Exit::Clean;
    let is_removed = matches!(exit, Exit::Killed { after, .. } if after >= Duration::from_secs(3));
    assert!(is_reported || is_removed, "{exit:?}");
    eventually("the killed pod is gone", async || namespace.pods().await.is_empty()).await;

    drop(host().launch_with(&namespace.plugin(RUST)).await.unwrap());
    eventually("the dropped pod is gone", async || namespace.pods().await.is_empty()).await;

    // A launch that is given up while its pod starts.
    let host = host();
    let pod = namespace.plugin(RUST);
    let launch = tokio::spawn(async move { host.launch_with(&pod).await });
    eventually("the pod is made", async || !namespace.pods().await.is_empty()).await;
    launch.abort();
    namespace.emptied().await;
}
