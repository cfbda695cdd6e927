//! What the status of a pod means: whether the plugin starts, and how it ended.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{
        ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodCondition, PodStatus,
    },
    jiff::Timestamp,
};
use rpcplugin_client::{ExitCause, ExitReason, ExitReport, Signal};

use crate::{error::KubeError, text::line};

/// The container of the plugin in its pod.
pub(crate) const CONTAINER: &str = "plugin";

/// A pod that starts.
#[derive(Debug, PartialEq)]
pub(crate) enum Startup {
    /// The container runs, or has run: it has a log.
    Started,
    /// The pod waits, for this reason.
    Waiting(String),
    /// The scheduler has found no node yet. A node may come.
    Unschedulable(String),
}

/// Who asked for the end of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// This host asked.
    Host,
    /// This host did not ask.
    Other,
}

/// Judges a pod that starts.
///
/// # Errors
/// A [`KubeError`] where waiting longer does not help.
pub(crate) fn startup(pod: &Pod) -> Result<Startup, KubeError> {
    let empty = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    if let Some(container) = plugin(status) {
        if let Some(terminated) = terminated(container) {
            return match start_failure(terminated) {
                Some(message) => Err(KubeError::NotRunnable { message }),
                None => Ok(Startup::Started),
            };
        }
        if container.state.as_ref().is_some_and(|state| state.running.is_some()) {
            return Ok(Startup::Started);
        }
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Err(removed(pod));
    }
    for container in status.init_container_statuses.iter().flatten() {
        if let Some(terminated) = terminated(container).filter(|terminated| terminated.exit_code != 0) {
            let message = start_failure(terminated).or_else(|| terminated.message.as_deref().map(line));
            return Err(KubeError::InitFailed {
                container: container.name.clone(),
                status: terminated.exit_code,
                message: message.unwrap_or_else(|| "it gives no reason".to_owned()),
            });
        }
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    for container in containers {
        if let Some(waiting) = waiting(container) {
            fault_of_waiting(pod, container, waiting).map_or(Ok(()), Err)?;
        }
    }
    if status.phase.as_deref() == Some("Failed") {
        return Err(KubeError::Rejected {
            reason: status.reason.clone().unwrap_or_else(|| "Failed".to_owned()),
            message: line(status.message.as_deref().unwrap_or("the node gives no reason")),
        });
    }
    if let Some(condition) = condition(status, "PodScheduled").filter(|condition| condition.status == "False")
    {
        let message = line(condition.message.as_deref().unwrap_or_default());
        return Ok(match condition.reason.as_deref() {
            Some("Unschedulable") => Startup::Unschedulable(message),
            reason => Startup::Waiting(format!("{}: {message}", reason.unwrap_or("not scheduled"))),
        });
    }
    let reason = plugin(status).and_then(waiting).and_then(|waiting| waiting.reason.as_deref());
    Ok(Startup::Waiting(match (reason, status.phase.as_deref()) {
        (Some(reason), _) => reason.to_owned(),
        (None, Some(phase)) => phase.to_owned(),
        (None, None) => "the cluster has not looked at the pod yet".to_owned(),
    }))
}

/// The error of a pod that was deleted while it started.
pub(crate) fn removed(pod: &Pod) -> KubeError {
    KubeError::Removed {
        pod: pod.metadata.name.clone().unwrap_or_default(),
        message: disruption(pod).unwrap_or_else(|| "another program or a person deleted it".to_owned()),
    }
}

/// The end of the plugin, if its container has ended. `None` while it runs.
pub(crate) fn ending(pod: &Pod, by: EndedBy) -> Option<ExitReason> {
    let status = pod.status.as_ref()?;
    let container = plugin(status).and_then(terminated);
    let Some(terminated) = container else {
        let has_failed = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
        return has_failed.then(|| cause(pod, by).map_or(ExitReason::Unknown, ExitReason::from));
    };
    let code = terminated.exit_code;
    if terminated.reason.as_deref() == Some("OOMKilled") {
        return Some(ExitReport::new(ExitCause::OutOfMemory, memory_limit(pod)).status(code).into());
    }
    if let Some(message) = start_failure(terminated) {
        return Some(ExitReport::new(ExitCause::StartFailed, message).status(code).into());
    }
    match cause(pod, by) {
        Some(report) => Some(report.status(code).into()),
        // The node found no trace of the container, and the status is invented.
        None if terminated.reason.as_deref() == Some("ContainerStatusUnknown") => {
            let message =
                terminated.message.as_deref().unwrap_or("the node does not know how the container ended");
            Some(ExitReport::new(ExitCause::Other, message).into())
        }
        None => Some(by_status(code)),
    }
}

/// The end of a plugin whose pod is gone from the API server.
pub(crate) fn gone(last: &Pod, by: EndedBy) -> ExitReason {
    if let Some(known) = ending(last, by) {
        return known;
    }
    match (cause(last, by), by) {
        (Some(report), _) => report.into(),
        (None, EndedBy::Host) => ExitReason::Signal(Signal::KILL),
        (None, EndedBy::Other) => ExitReport::new(ExitCause::Removed, deleted_by_others(last)).into(),
    }
}

/// How long a pod that is being deleted may take until it has to be taken for gone: its node does not answer. `None` if it is not deleted.
/// The clocks of the cluster and of this machine may differ, so that the timestamp of the deletion does not count.
pub(crate) fn time_to_end(pod: &Pod) -> Option<Duration> {
    pod.metadata.deletion_timestamp.as_ref()?;
    let grace = pod.metadata.deletion_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Some(Duration::from_secs(grace.unwrap_or_default()).saturating_add(SILENT_NODE))
}

/// The time after the end of a deletion's grace in which a node that answers has removed a container.
const SILENT_NODE: Duration = Duration::from_secs(30);

/// Whether the pod has ended, and since when.
pub(crate) fn finished(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    if !matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        return None;
    }
    let at = plugin(status).and_then(terminated).and_then(|terminated| terminated.finished_at.as_ref());
    at.or(pod.metadata.creation_timestamp.as_ref()).map(|time| time.0)
}

/// Why the pod ended, if neither the plugin nor this host is the cause.
fn cause(pod: &Pod, by: EndedBy) -> Option<ExitReport> {
    let status = pod.status.as_ref()?;
    let message = || line(status.message.as_deref().unwrap_or_default());
    match status.reason.as_deref() {
        Some("Evicted") => return Some(ExitReport::new(ExitCause::Evicted, message())),
        // The node shuts down, or another pod takes the place.
        Some(reason @ ("Terminated" | "NodeShutdown" | "Shutdown" | "Preempting")) => {
            return Some(ExitReport::new(ExitCause::Evicted, format!("{reason}: {}", message())));
        }
        Some("NodeLost") => {
            return Some(ExitReport::new(ExitCause::Other, format!("the node is lost: {}", message())));
        }
        Some(reason) => return Some(ExitReport::new(ExitCause::Other, format!("{reason}: {}", message()))),
        None => {}
    }
    if by == EndedBy::Host {
        return None;
    }
    if let Some(disruption) = disruption(pod) {
        return Some(ExitReport::new(ExitCause::Evicted, disruption));
    }
    pod.metadata.deletion_timestamp.as_ref()?;
    Some(ExitReport::new(ExitCause::Removed, deleted_by_others(pod)))
}

/// The reason of the condition `DisruptionTarget`: an eviction by the API, by the node, or for a pod of higher priority.
fn disruption(pod: &Pod) -> Option<String> {
    let condition =
        condition(pod.status.as_ref()?, "DisruptionTarget").filter(|condition| condition.status == "True")?;
    let reason = condition.reason.as_deref().unwrap_or("DisruptionTarget");
    Some(line(&format!("{reason}: {}", condition.message.as_deref().unwrap_or_default())))
}

fn deleted_by_others(pod: &Pod) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    format!("the pod {name} was deleted, and not by this host")
}

/// The end of a process, by the status of its container: runtimes add 128 to the number of a signal.
fn by_status(code: i32) -> ExitReason {
    match code {
        129..=159 => ExitReason::Signal(Signal::new(code - 128)),
        code => ExitReason::Status(code),
    }
}

/// The explanation of the runtime, if it could not execute the program.
fn start_failure(terminated: &ContainerStateTerminated) -> Option<String> {
    let reason = terminated.reason.as_deref()?;
    let message = || line(terminated.message.as_deref().unwrap_or(reason));
    matches!(reason, "StartError" | "ContainerCannotRun" | "RunContainerError").then(message)
}

/// The fault of a container that will not run however long it waits.
fn fault_of_waiting(
    pod: &Pod,
    container: &ContainerStatus,
    waiting: &ContainerStateWaiting,
) -> Option<KubeError> {
    let reason = waiting.reason.clone()?;
    let message = line(waiting.message.as_deref().unwrap_or("the node gives no reason"));
    match &*reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => {
            Some(KubeError::Image { image: image_of(pod, &container.name), reason, message })
        }
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "PreStartHookError"
        | "PostStartHookError" => Some(KubeError::Configuration { reason, message }),
        "RunContainerError" | "CrashLoopBackOff" => Some(KubeError::NotRunnable { message }),
        _ => None,
    }
}

/// The image of a container as the pod names it.
fn image_of(pod: &Pod, container: &str) -> String {
    let Some(spec) = &pod.spec else { return String::new() };
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let named = |one: &&k8s_openapi::api::core::v1::Container| one.name == container;
    containers.into_iter().find(named).and_then(|one| one.image.clone()).unwrap_or_default()
}

/// The memory limit of the plugin, in words.
fn memory_limit(pod: &Pod) -> String {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let limit = containers
        .filter(|container| container.name == CONTAINER)
        .find_map(|container| container.resources.as_ref()?.limits.as_ref()?.get("memory"));
    match limit {
        Some(limit) => format!("the limit of the container is {}", limit.0),
        None => "the container has no limit, so that the memory of the node was short".to_owned(),
    }
}

fn plugin(status: &PodStatus) -> Option<&ContainerStatus> {
    status.container_statuses.iter().flatten().find(|container| container.name == CONTAINER)
}

fn terminated(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.state.as_ref()?.terminated.as_ref()
}

fn waiting(container: &ContainerStatus) -> Option<&ContainerStateWaiting> {
    container.state.as_ref()?.waiting.as_ref()
}

fn condition<'p>(status: &'p PodStatus, kind: &str) -> Option<&'p PodCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

#[cfg(test)]
mod tests;
