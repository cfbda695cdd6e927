#![expect(clippy::needless_pass_by_value, reason = "statuses are written where they are used")]

use miette::Diagnostic as _;
use serde_json::{Value, json};

use super::*;

/// A pod with this status, as the API server sends it.
fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "kv-1", "namespace": "plugins"},
        "spec": {
            "initContainers": [{"name": "bridge", "image": "bridge:1"}],
            "containers": [{"name": "plugin", "image": "kv:1", "resources": {"limits": {"memory": "32Mi"}}}],
        },
        "status": status,
    }))
    .unwrap()
}

/// A pod whose plugin is in this state.
fn in_state(phase: &str, state: Value) -> Pod {
    let container = json!({
        "name": "plugin", "image": "kv:1", "imageID": "", "ready": false, "restartCount": 0, "state": state,
    });
    pod(json!({"phase": phase, "containerStatuses": [container]}))
}

fn waiting_for(reason: &str) -> Pod {
    in_state("Pending", json!({"waiting": {"reason": reason, "message": "because"}}))
}

fn exited(code: i32, reason: &str) -> Pod {
    in_state("Failed", json!({"terminated": {"exitCode": code, "reason": reason, "message": "why"}}))
}

fn deleted(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-30T10:00:00Z")).unwrap();
    pod
}

fn disrupted(mut pod: Pod) -> Pod {
    let condition = json!([{
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
    }]);
    pod.status.as_mut().unwrap().conditions = serde_json::from_value(condition).unwrap();
    pod
}

#[test]
fn reasons_that_do_not_pass_are_faults_at_once() {
    for (reason, code) in [
        ("ErrImagePull", "image"),
        ("ImagePullBackOff", "image"),
        ("ErrImageNeverPull", "image"),
        ("InvalidImageName", "image"),
        ("CreateContainerConfigError", "configuration"),
        ("CreateContainerError", "configuration"),
        ("RunContainerError", "not_runnable"),
    ] {
        let fault = startup(&waiting_for(reason)).unwrap_err();
        assert_eq!(fault.code().unwrap().to_string(), format!("rpcplugin::kube::{code}"), "{reason}");
        assert!(fault.to_string().contains("because"), "{fault}");
    }
    let KubeError::Image { image, .. } = startup(&waiting_for("ErrImagePull")).unwrap_err() else { panic!() };
    assert_eq!(image, "kv:1");
}

#[test]
fn a_pod_that_may_still_start_is_waited_for() {
    assert_eq!(
        startup(&Pod::default()),
        Ok(Startup::Waiting("the cluster has not looked at the pod yet".into()))
    );
    assert_eq!(startup(&waiting_for("ContainerCreating")), Ok(Startup::Waiting("ContainerCreating".into())));
    let unschedulable = json!([{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available",
    }]);
    let unschedulable = pod(json!({"phase": "Pending", "conditions": unschedulable}));
    assert_eq!(startup(&unschedulable), Ok(Startup::Unschedulable("0/1 nodes are available".into())));
    assert_eq!(startup(&in_state("Running", json!({"running": {}}))), Ok(Startup::Started));
}

#[test]
fn a_plugin_that_exits_at_once_has_started() {
    // The log and the exit status say more than a fault could.
    assert_eq!(startup(&exited(1, "Error")), Ok(Startup::Started));
    assert_eq!(startup(&deleted(exited(0, "Completed"))), Ok(Startup::Started));
}

#[test]
fn a_program_that_cannot_be_executed_is_a_fault() {
    let fault = startup(&exited(128, "StartError")).unwrap_err();
    assert_eq!(fault, KubeError::NotRunnable { message: "why".into() });
}

#[test]
fn a_pod_that_its_node_refuses_is_a_fault() {
    let refused =
        pod(json!({"phase": "Failed", "reason": "OutOfcpu", "message": "Pod was rejected: not enough cpu"}));
    let fault = startup(&refused).unwrap_err();
    assert!(matches!(fault, KubeError::Rejected { .. }), "{fault:?}");
    assert_eq!(fault.to_string(), "the node refused the pod: OutOfcpu: Pod was rejected: not enough cpu");
}

#[test]
fn an_init_container_that_fails_is_a_fault() {
    let failed = json!({
        "name": "bridge", "image": "bridge:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 2, "reason": "Error"}},
    });
    let fault = startup(&pod(json!({"phase": "Pending", "initContainerStatuses": [failed]}))).unwrap_err();
    assert!(matches!(fault, KubeError::InitFailed { status: 2, .. }), "{fault:?}");
    assert_eq!(fault.to_string(), "the init container bridge failed with exit status 2: it gives no reason");
    let missing = json!({
        "name": "bridge", "image": "bridge:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ErrImageNeverPull", "message": "not there"}},
    });
    let fault = startup(&pod(json!({"phase": "Pending", "initContainerStatuses": [missing]}))).unwrap_err();
    assert!(matches!(&fault, KubeError::Image { image, .. } if image == "bridge:1"), "{fault:?}");
}

#[test]
fn a_pod_that_is_deleted_while_it_starts_is_a_fault() {
    let fault = startup(&deleted(waiting_for("ContainerCreating"))).unwrap_err();
    assert!(matches!(fault, KubeError::Removed { .. }), "{fault:?}");
    let fault = startup(&disrupted(deleted(waiting_for("ContainerCreating")))).unwrap_err();
    assert!(fault.to_string().contains("EvictionByEvictionAPI"), "{fault}");
}

#[test]
fn an_exit_by_itself_is_a_status_or_a_signal() {
    for (code, reason) in [(0, "Completed"), (1, "Error"), (128, "Error"), (255, "Error")] {
        assert_eq!(ending(&exited(code, reason), EndedBy::Other), Some(ExitReason::Status(code)));
    }
    assert_eq!(ending(&exited(139, "Error"), EndedBy::Other), Some(ExitReason::Signal(Signal::SEGV)));
    assert_eq!(ending(&deleted(exited(137, "Error")), EndedBy::Host), Some(ExitReason::Signal(Signal::KILL)));
    assert_eq!(ending(&in_state("Running", json!({"running": {}})), EndedBy::Other), None);
    assert_eq!(ending(&deleted(in_state("Running", json!({"running": {}}))), EndedBy::Other), None);
}

/// The text of the report about an end that the plugin did not choose.
#[track_caller]
fn report(reason: Option<ExitReason>) -> (ExitCause, Option<i32>, String) {
    let Some(ExitReason::Reported(report)) = reason else { panic!("{reason:?}") };
    (report.cause, report.status, report.message.to_string())
}

#[test]
fn an_end_that_the_cluster_chose_is_reported_with_its_cause() {
    let (cause, status, message) = report(ending(&exited(137, "OOMKilled"), EndedBy::Other));
    assert_eq!((cause, status), (ExitCause::OutOfMemory, Some(137)));
    assert!(message.contains("32Mi"), "{message}");

    let evicted = pod(
        json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}),
    );
    let (cause, status, message) = report(ending(&evicted, EndedBy::Other));
    assert_eq!((cause, status), (ExitCause::Evicted, None));
    assert_eq!(message, "The node was low on resource: memory.");

    let mut late = exited(137, "Error");
    late.status.as_mut().unwrap().reason = Some("DeadlineExceeded".into());
    assert_eq!(report(ending(&late, EndedBy::Other)).0, ExitCause::Other);
    assert!(report(ending(&late, EndedBy::Other)).2.starts_with("DeadlineExceeded"));

    let lost = pod(json!({"phase": "Failed", "reason": "NodeLost", "message": "Node n1 is unresponsive"}));
    assert_eq!(report(ending(&lost, EndedBy::Other)).2, "the node is lost: Node n1 is unresponsive");

    assert_eq!(report(ending(&exited(128, "StartError"), EndedBy::Other)).0, ExitCause::StartFailed);
}

#[test]
fn a_deletion_from_outside_is_distinguished_from_one_by_the_host() {
    let (cause, status, _) = report(ending(&deleted(exited(0, "Completed")), EndedBy::Other));
    assert_eq!((cause, status), (ExitCause::Removed, Some(0)));
    assert_eq!(ending(&deleted(exited(0, "Completed")), EndedBy::Host), Some(ExitReason::Status(0)));
    assert_eq!(
        report(ending(&disrupted(deleted(exited(143, "Error"))), EndedBy::Other)).0,
        ExitCause::Evicted
    );

    let running = in_state("Running", json!({"running": {}}));
    assert_eq!(gone(&running, EndedBy::Host), ExitReason::Signal(Signal::KILL));
    assert_eq!(report(Some(gone(&running, EndedBy::Other))).0, ExitCause::Removed);
    assert_eq!(report(Some(gone(&disrupted(running), EndedBy::Other))).0, ExitCause::Evicted);
}

#[test]
fn a_pod_that_is_deleted_has_its_grace_and_some_time_to_end() {
    let mut pod = waiting_for("ContainerCreating");
    assert_eq!(time_to_end(&pod), None);
    pod = deleted(pod);
    assert_eq!(time_to_end(&pod), Some(Duration::from_secs(30)));
    pod.metadata.deletion_grace_period_seconds = Some(600);
    assert_eq!(time_to_end(&pod), Some(Duration::from_secs(630)));
}

#[test]
fn a_pod_is_finished_in_two_phases_only() {
    let mut done = exited(0, "Completed");
    assert_eq!(finished(&done), None, "without any time");
    done.metadata.creation_timestamp = serde_json::from_value(json!("2026-11-30T09:00:00Z")).unwrap();
    assert_eq!(finished(&done).unwrap().to_string(), "2026-11-30T09:00:00Z");
    assert_eq!(finished(&in_state("Running", json!({"running": {}}))), None);
}
