//! Starts that succeed, and starts that fail.

use rpcplugin_kube::{Action, Bridge, Limits, Pull, Reach};
use tokio::time::timeout;

use super::*;
use server::{FakeCluster, Reaction};

#[tokio::test]
async fn a_plugin_is_launched_and_shut_down_through_the_api_server() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_runs_the_plugin();
    let plugin = host().launch_with(&pod(&cluster)).await.unwrap();
    plugin.ping().await.unwrap();
    assert!(cluster.requests().iter().any(|request| request.contains("portforward")));
    let exit = plugin.shut_down_within(Duration::from_secs(10)).await;
    assert_eq!(exit.to_string(), "ended cleanly");
    assert_eq!(cluster.pods(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_in_the_cluster_connects_to_the_address_of_the_pod() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_runs_the_plugin();
    let plugin = host().launch_with(&pod(&cluster).reach(Reach::PodAddress)).await.unwrap();
    plugin.ping().await.unwrap();
    assert!(!cluster.requests().iter().any(|request| request.contains("portforward")));
    plugin.kill().await;
    assert_eq!(cluster.pods(), Vec::<String>::new());
}

#[tokio::test]
async fn a_plugin_calls_its_host_over_the_connection_that_the_host_opened() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_runs_the_plugin();
    let services = Services::new().add(tonic_health::server::health_reporter().1);
    let host = host().configure(|config| config.multiplex = true).callbacks(services);
    let plugin = host.launch_with(&pod(&cluster).env("CALLS_ITS_HOST", "1")).await.unwrap();
    let answered =
        |cluster: &FakeCluster| cluster.logged().iter().any(|line| line.contains("the host has answered"));
    cluster.until("the plugin has an answer", answered).await;
    let forwards = cluster.requests().iter().filter(|one| one.contains("portforward")).count();
    assert_eq!(forwards, 1, "one connection for all");
    plugin.kill().await;
}

#[tokio::test]
async fn callbacks_that_are_not_multiplexed_are_refused_with_the_setting() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_runs_the_plugin();
    let services = Services::new().add(tonic_health::server::health_reporter().1);
    let error = host().callbacks(services).launch_with(&pod(&cluster)).await.unwrap_err();
    let shown = rpcplugin::error::PlainReport(&error).to_string();
    assert!(shown.contains("cannot connect to the host's"), "{shown}");
    cluster.until("the pod is deleted", |cluster| cluster.pods().is_empty()).await;
}

#[tokio::test]
async fn a_port_that_cannot_be_forwarded_is_named_with_the_answer() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_runs_the_plugin();
    cluster.fail(
        "portforward",
        usize::MAX,
        Reaction::Refuse(403, "User \"host\" cannot create pods/portforward"),
    );
    let host = host().configure(|config| config.launch_timeout = Duration::from_secs(5));
    let error = host.launch_with(&pod(&cluster)).await.unwrap_err();
    let shown = rpcplugin::error::PlainReport(&error).to_string();
    assert!(shown.contains("cannot be forwarded") && shown.contains("403"), "{shown}");
    assert!(shown.contains("pods/portforward"), "{shown}");
}

#[tokio::test]
async fn an_image_that_is_missing_is_a_fault_at_once_with_the_sentence_of_the_event() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_reports(waiting("ImagePullBackOff", "Back-off pulling image"));
    cluster.add_event("Failed", "Failed to pull image \"localhost/kv:1\": not found");
    cluster.add_event("Failed", "Error: ImagePullBackOff");
    let begun = Instant::now();
    let error: LaunchError = host().launch_with(&pod(&cluster).pull(Pull::Always)).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let KubeError::Image { image, reason, message } = kube_error(&error.fault) else { panic!("{error:?}") };
    assert_eq!((&**image, &**reason), ("localhost/kv:1", "ImagePullBackOff"));
    assert!(message.contains("not found") && !message.contains("Error"), "{message}");
    cluster.until("the pod is deleted", |cluster| cluster.pods().is_empty()).await;
}

#[tokio::test]
async fn a_pod_that_no_node_takes_is_a_fault_after_the_time_for_it() {
    let cluster = FakeCluster::start().await;
    let condition = json!([{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: insufficient memory",
    }]);
    cluster.kubelet_reports(json!({"phase": "Pending", "conditions": condition}));
    let after = Duration::from_millis(300);
    let begun = Instant::now();
    let runner = pod(&cluster).limits(Limits::new().memory(1 << 40)).schedule_timeout(after);
    let error = start(&runner).await.unwrap_err();
    assert!(begun.elapsed() >= after);
    assert_eq!(error, KubeError::Unschedulable { after, message: "0/1 nodes: insufficient memory".into() });
    cluster.until("the pod is deleted", |cluster| cluster.pods().is_empty()).await;
}

#[tokio::test]
async fn refusals_of_the_api_server_are_typed() {
    const RBAC: &str = "pods is forbidden: User \"host\" cannot create resource \"pods\"";
    let forbidden = |action| KubeError::Forbidden { action, message: RBAC.to_owned() };
    for (request, code, message, expected) in [
        ("POST", 403, RBAC, forbidden(Action::Create)),
        ("watch=", 403, RBAC, forbidden(Action::Watch)),
        ("/log?", 403, RBAC, forbidden(Action::Logs)),
        ("POST", 403, "exceeded quota: q", KubeError::Quota { message: "exceeded quota: q".into() }),
        ("POST", 403, "violates PodSecurity", KubeError::Refused { message: "violates PodSecurity".into() }),
        ("POST", 422, "Pod is invalid", KubeError::Invalid { message: "Pod is invalid".into() }),
        ("POST", 401, "Unauthorized", KubeError::Unauthorized { message: "Unauthorized".into() }),
    ] {
        let cluster = FakeCluster::start().await;
        // A pod that waits for the log, and one that waits for its container, for the refusal of the watch.
        cluster.kubelet_reports(if request == "watch=" {
            waiting("ContainerCreating", "")
        } else {
            running()
        });
        if request == "watch=" {
            // Without the watch, the runner reads the pod: it has no news there either.
            cluster.fail("GET /api/v1/namespaces/plugins/pods/", usize::MAX, Reaction::Refuse(500, "away"));
        }
        cluster.fail(request, usize::MAX, Reaction::Refuse(code, message));
        assert_eq!(start(&pod(&cluster)).await.unwrap_err(), expected, "{request}");
        cluster.until("the pod is deleted", |cluster| cluster.pods().is_empty()).await;
    }
}

#[tokio::test]
async fn a_busy_api_server_is_asked_again() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_reports(running());
    cluster.fail("POST", 2, Reaction::Refuse(503, "busy"));
    cluster.fail("/log?", 2, Reaction::Refuse(500, "the kubelet does not answer"));
    let started = start(&pod(&cluster)).await.unwrap();
    assert_eq!(cluster.pods().len(), 1);
    drop(started);
    cluster.until("the pod is deleted", |cluster| cluster.pods().is_empty()).await;
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_makes_one_pod() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_reports(running());
    cluster.fail("POST", 1, Reaction::CloseAfter);
    let _started = start(&pod(&cluster)).await.unwrap();
    assert_eq!(cluster.pods().len(), 1);
}

#[tokio::test]
async fn an_api_server_that_is_broken_is_a_fault() {
    let cluster = FakeCluster::start().await;
    cluster.fail("POST", usize::MAX, Reaction::Refuse(500, "etcdserver: no leader"));
    let error = start(&pod(&cluster)).await.unwrap_err();
    assert_eq!(error, KubeError::Api { action: Action::Create, message: "etcdserver: no leader".into() });
}

#[tokio::test]
async fn watches_that_end_do_not_end_the_start() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_reports(waiting("ContainerCreating", ""));
    cluster.fail("watch=", 2, Reaction::EndWatch);
    cluster.fail("watch=", 1, Reaction::Refuse(410, "too old resource version"));
    let pod = pod(&cluster);
    let starting = tokio::spawn(async move { start(&pod).await });
    let watches =
        |cluster: &FakeCluster| cluster.requests().iter().filter(|one| one.contains("watch=")).count();
    cluster.until("the watch is opened again", |cluster| watches(cluster) >= 4).await;
    cluster.set_status(running());
    let _started = starting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_start_that_is_given_up_deletes_its_pod() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_reports(waiting("ContainerCreating", ""));
    let runner = pod(&cluster);
    assert!(timeout(Duration::from_millis(200), start(&runner)).await.is_err());
    cluster.until("the pod is deleted", |cluster| cluster.pods().is_empty()).await;

    // While the request to create the pod is not answered yet.
    let cluster = FakeCluster::start().await;
    cluster.fail("POST", 1, Reaction::HangAfter);
    let runner = pod(&cluster);
    assert!(timeout(Duration::from_millis(200), start(&runner)).await.is_err());
    cluster.until("the pod is deleted", |cluster| cluster.pods().is_empty()).await;
}

#[tokio::test]
async fn a_pod_that_is_deleted_while_it_starts_is_a_fault() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_reports(waiting("ContainerCreating", ""));
    let runner = pod(&cluster);
    let starting = tokio::spawn(async move { start(&runner).await });
    cluster.until("the pod is there", |cluster| !cluster.pods().is_empty()).await;
    cluster.remove_pod();
    let error = starting.await.unwrap().unwrap_err();
    assert!(matches!(error, KubeError::Removed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_launch_that_runs_out_of_time_names_what_the_pod_waits_for() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_reports(waiting("ContainerCreating", ""));
    cluster.add_event("FailedMount", "MountVolume.SetUp failed: secret \"kv\" not found");
    let host = host().configure(|config| config.launch_timeout = Duration::from_secs(4));
    let error = host.launch_with(&pod(&cluster)).await.unwrap_err();
    let shown = rpcplugin::error::PlainReport(&error).to_string();
    assert!(shown.contains("waits: ContainerCreating"), "{shown}");
    assert!(shown.contains("MountVolume.SetUp failed"), "{shown}");
}

#[tokio::test]
async fn settings_that_cannot_be_met_are_refused_before_a_pod_is_made() {
    let cluster = FakeCluster::start().await;
    let refused = |pod: Pod| async move { start(&pod).await.unwrap_err() };
    let digest = refused(pod(&cluster).digest("latest")).await;
    assert_eq!(digest, KubeError::Digest { digest: "latest".into() });
    assert_eq!(refused(pod(&cluster).bridge(Bridge::in_image("/rpcplugin"))).await, KubeError::BridgeCommand);
    assert_eq!(cluster.pods(), Vec::<String>::new());
}

#[cfg(unix)]
#[tokio::test]
async fn a_value_that_is_not_text_is_refused_by_the_name_of_its_variable() {
    use std::os::unix::ffi::OsStringExt as _;

    let cluster = FakeCluster::start().await;
    let value = std::ffi::OsString::from_vec(vec![0xff]);
    let fault = pod(&cluster).start(&LaunchEnvironment::new("/run/kv").set("A", value)).await.unwrap_err();
    assert_eq!(*kube_error(&fault), KubeError::Variable { name: "A".into() });
}

#[tokio::test]
async fn a_context_that_does_not_exist_is_no_cluster() {
    let error = start(&Pod::new("kv").context("a context that no kubeconfig has")).await.unwrap_err();
    assert!(matches!(error, KubeError::NoCluster { .. }), "{error:?}");
}

#[tokio::test]
async fn debug_output_has_no_values_of_variables() {
    let text = format!("{:?}", Pod::new("kv").env("TOKEN", "hunter2"));
    assert!(text.contains("TOKEN") && !text.contains("hunter2"), "{text}");
}
