//! How plugins in pods end, and what the host says of the end.

use rpcplugin::{
    error::PlainReport,
    host::{ExitCause, ExitReason, HandshakeFault, PluginProcess as _},
};

use super::*;
use server::{FakeCluster, Reaction, status_with};

/// A pod that runs, without a plugin in it.
async fn running_pod(cluster: &FakeCluster) -> StartedProcess<PodProcess> {
    cluster.kubelet_reports(running());
    start(&pod(cluster)).await.unwrap()
}

#[track_caller]
fn cause(reason: &ExitReason) -> ExitCause {
    reason.report().unwrap_or_else(|| panic!("{reason:?}")).cause
}

#[tokio::test]
async fn a_plugin_that_exits_at_once_is_explained_by_its_last_words() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_runs_the_plugin();
    let error = host().launch_with(&pod(&cluster).env("EXIT_WITH", "3")).await.unwrap_err();
    assert!(
        matches!(&error.fault, LaunchFault::Handshake(HandshakeFault::ExitedEarly(ExitReason::Status(3)))),
        "{error:?}"
    );
    let shown = PlainReport(&error).to_string();
    assert!(shown.contains("the last words"), "{shown}");
    cluster.until("the pod is deleted", |cluster| cluster.pods().is_empty()).await;
}

#[tokio::test]
async fn a_container_out_of_memory_is_reported() {
    let cluster = FakeCluster::start().await;
    let mut started = running_pod(&cluster).await;
    cluster
        .set_status(status_with("Failed", json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})));
    let reason = started.process.wait().await;
    assert_eq!((cause(&reason), reason.status()), (ExitCause::OutOfMemory, Some(137)));
    assert_eq!(cluster.pods(), Vec::<String>::new(), "the pod is cleaned up before the exit is reported");
}

#[tokio::test]
async fn an_eviction_that_the_exit_of_the_plugin_took_out_of_the_status_is_reported() {
    let cluster = FakeCluster::start().await;
    let mut started = running_pod(&cluster).await;
    cluster.add_event("Evicted", "Container plugin exceeded its local ephemeral storage limit \"1Mi\".");
    cluster
        .set_status(status_with("Succeeded", json!({"terminated": {"exitCode": 0, "reason": "Completed"}})));
    let reason = started.process.wait().await;
    assert_eq!((cause(&reason), reason.status()), (ExitCause::Evicted, Some(0)));
    assert!(reason.to_string().contains("storage limit"), "{reason}");
}

#[tokio::test]
async fn a_pod_that_is_deleted_from_outside_is_reported() {
    let cluster = FakeCluster::start().await;
    let mut started = running_pod(&cluster).await;
    cluster.remove_pod();
    assert_eq!(cause(&started.process.wait().await), ExitCause::Removed);
}

#[tokio::test]
async fn an_api_server_that_is_away_is_not_the_end_of_a_plugin() {
    let cluster = FakeCluster::start().await;
    cluster.fail("watch=", 3, Reaction::EndWatch);
    cluster.fail("GET /api/v1/namespaces/plugins/pods/", 4, Reaction::Refuse(500, "away"));
    let mut started = running_pod(&cluster).await;
    let watches =
        |cluster: &FakeCluster| cluster.requests().iter().filter(|one| one.contains("watch=")).count();
    tokio::select! {
        reason = started.process.wait() => panic!("{reason:?}"),
        () = cluster.until("the watch is back", |cluster| watches(cluster) > 3) => {}
    }
    cluster.remove_pod();
    assert_eq!(cause(&started.process.wait().await), ExitCause::Removed);
}

#[tokio::test]
async fn a_kill_deletes_the_pod_and_waits_for_its_end() {
    let cluster = FakeCluster::start().await;
    let mut started = running_pod(&cluster).await;
    started.process.kill().await;
    let reason = started.process.wait().await;
    assert_eq!(reason.signal(), Some(rpcplugin::host::Signal::KILL), "{reason:?}");
    assert_eq!(cluster.pods(), Vec::<String>::new());
}

#[tokio::test]
async fn a_kill_that_the_api_server_refuses_is_repeated_by_force() {
    let cluster = FakeCluster::start().await;
    let mut started = running_pod(&cluster).await;
    cluster.fail("DELETE", 1, Reaction::Refuse(500, "busy"));
    started.process.kill().await;
    assert_eq!(cluster.pods().len(), 1);
    let reason = started.process.wait().await;
    assert_eq!(reason.signal(), Some(rpcplugin::host::Signal::KILL), "{reason:?}");
    assert_eq!(cluster.pods(), Vec::<String>::new());
}

#[tokio::test]
async fn a_dropped_process_is_deleted_in_the_background_however_often_that_fails_at_first() {
    let cluster = FakeCluster::start().await;
    let started = running_pod(&cluster).await;
    cluster.fail("DELETE", 2, Reaction::Refuse(500, "busy"));
    drop(started);
    cluster.until("the pod is deleted", |cluster| cluster.pods().is_empty()).await;
}

#[tokio::test]
async fn a_process_that_is_left_keeps_its_pod() {
    let cluster = FakeCluster::start().await;
    let started = running_pod(&cluster).await;
    let before = cluster.requests().iter().filter(|one| one.starts_with("DELETE")).count();
    started.process.leave().await;
    tokio::task::yield_now().await;
    assert_eq!(cluster.pods().len(), 1);
    assert_eq!(cluster.requests().iter().filter(|one| one.starts_with("DELETE")).count(), before);
}

#[tokio::test]
async fn a_plugin_that_crashes_later_is_reported_with_its_signal() {
    let cluster = FakeCluster::start().await;
    let mut started = running_pod(&cluster).await;
    cluster.set_status(status_with("Failed", json!({"terminated": {"exitCode": 139, "reason": "Error"}})));
    assert_eq!(started.process.wait().await, ExitReason::Signal(rpcplugin::host::Signal::SEGV));
}
