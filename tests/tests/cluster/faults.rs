//! Pods that do not start: each launch fails at once with the reason, and leaves no pod.

use std::time::Duration;

use miette::Diagnostic as _;
use rpcplugin::{
    LaunchError,
    host::{LaunchFault, StartFault},
};
use rpcplugin_kube::{KubeError, Limits, Pod as PluginPod, Pull};
use tokio::time::Instant;

use super::support::{Namespace, RUST, TIMEOUT, host};

/// A launch fails with this code, long before the launch timeout. Returns the fault.
async fn refused(pod: &PluginPod, code: &str) -> String {
    let begin = Instant::now();
    let error = host().launch_with(pod).await.map(|plugin| plugin.id()).unwrap_err();
    let elapsed = begin.elapsed();
    let fault = fault(&error);
    assert_eq!(fault.code().unwrap().to_string(), format!("rpcplugin::kube::{code}"), "{fault}");
    assert!(elapsed < TIMEOUT / 2, "{elapsed:?}: {fault}");
    fault.to_string()
}

/// The fault of the runner.
fn fault(error: &LaunchError) -> &KubeError {
    let LaunchFault::Start(StartFault::Runner(cause)) = &error.fault else {
        panic!("not a fault of the runner: {error:?}")
    };
    cause.downcast_ref().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn an_image_that_is_missing_is_named() {
    let namespace = Namespace::create().await;
    let missing = "localhost/rpcplugin-tests/missing:1";
    let line = refused(&namespace.plugin(missing), "image").await;
    assert!(line.contains(missing) && line.contains("ErrImageNeverPull"), "{line}");
    let line = refused(&namespace.plugin(missing).pull(Pull::IfMissing), "image").await;
    assert!(line.contains(missing), "{line}");
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_pod_that_no_node_takes_is_named() {
    let namespace = Namespace::create().await;
    let soon = Duration::from_secs(2);
    let elsewhere = namespace.plugin(RUST).node_selector("disk", "fast").schedule_timeout(soon);
    let line = refused(&elsewhere, "unschedulable").await;
    assert!(line.contains("node"), "{line}");
    let large = namespace.plugin(RUST).limits(Limits::new().memory(1 << 50)).schedule_timeout(soon);
    let line = refused(&large, "unschedulable").await;
    assert!(line.contains("memory"), "{line}");
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_configuration_that_the_kubelet_refuses_is_named() {
    let namespace = Namespace::create().await;
    let pod = namespace.plugin(RUST).env_from_secret("TOKEN", "absent", "key");
    let line = refused(&pod, "configuration").await;
    assert!(line.contains("absent"), "{line}");
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_program_that_is_not_in_the_image_is_named() {
    let namespace = Namespace::create().await;
    let line = refused(&namespace.plugin(RUST).command(["/absent"]), "not_runnable").await;
    assert!(line.contains("/absent"), "{line}");
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn an_image_that_runs_as_root_is_refused() {
    let namespace = Namespace::create().await;
    let line = refused(&namespace.plugin(RUST).user_of_image(), "configuration").await;
    assert!(line.contains("root"), "{line}");
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn rights_that_are_missing_are_named() {
    let namespace = Namespace::create().await;
    namespace.apply("host-role.yaml");
    // The default account of a namespace may do nothing.
    let client = namespace.client_of("default").await;
    let line = refused(&namespace.plugin(RUST).client(client), "forbidden").await;
    assert!(line.contains("create") && line.contains("pods"), "{line}");

    // The role of the manifest without one of its rules each.
    for (resource, verb) in [("pods/log", "get"), ("pods/portforward", "create"), ("pods", "watch")] {
        namespace.apply_role_without(resource, verb);
        let client = namespace.client_of("plugin-host").await;
        let error = host().launch_with(&namespace.plugin(RUST).client(client)).await;
        let error = error.map(|plugin| plugin.id()).unwrap_err();
        let line = format!("{error:?}");
        println!("without {verb} {resource}: {line}");
        assert!(
            line.contains(resource) && line.to_lowercase().contains("forbidden"),
            "{verb} {resource}: {line}"
        );
    }
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_namespace_that_is_missing_is_named() {
    let namespace = Namespace::create().await;
    let line = refused(&namespace.plugin(RUST).namespace("absent"), "no_namespace").await;
    assert!(line.contains("absent"), "{line}");
    namespace.delete().await;
}
