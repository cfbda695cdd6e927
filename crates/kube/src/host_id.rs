//! Which host a pod belongs to: the host's own pod, or its process.

use std::fmt;

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::Api;
use tokio::time::timeout;

use crate::{cluster::Cluster, error::describe, os, pod_ref::REQUEST};

/// The identity of a host, as the label [`HOST`](crate::orphans::HOST) of its pods has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostId {
    /// The value of the label.
    pub(crate) label: String,
    /// The host's own pod, if it runs in one.
    pub(crate) pod: Option<OwnPod>,
}

/// The pod in which this host runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnPod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// A process, as a label has it: `proc-BOOT-NAMESPACE-PID-START`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessId {
    machine: String,
    pid: u32,
    start: u64,
}

impl HostId {
    /// Finds out which host this is. The variables `POD_NAME`, `POD_NAMESPACE` and `POD_UID` name its pod. Without them a host inside the
    /// cluster asks for the pod that has its host name. A pod of another cluster does not count: the cluster deletes a
    /// plugin's pod at once if its owner does not exist.
    pub(crate) async fn find(cluster: &Cluster, variable: impl Fn(&str) -> Option<String>) -> Self {
        let pod = match (variable("POD_NAME"), variable("POD_NAMESPACE"), variable("POD_UID")) {
            (Some(name), Some(namespace), Some(uid)) if cluster.inside => {
                Some(OwnPod { namespace, name, uid })
            }
            (Some(name), Some(namespace), Some(uid)) => {
                read(cluster, &namespace, &name).await.filter(|own| own.uid == uid)
            }
            _ if cluster.inside => match variable("HOSTNAME") {
                Some(name) => read(cluster, &cluster.namespace, &name).await,
                None => None,
            },
            _ => None,
        };
        let label = match &pod {
            Some(pod) => format!("pod-{}", pod.uid),
            None => ProcessId::this().map_or_else(unknown, |process| process.to_string()),
        };
        Self { label, pod }
    }
}

impl OwnPod {
    /// The reference by which the cluster deletes a pod after this one.
    pub(crate) fn as_owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: None,
            block_owner_deletion: None,
        }
    }
}

impl ProcessId {
    /// This process, if the system says which.
    pub(crate) fn this() -> Option<Self> {
        let pid = std::process::id();
        Some(Self { machine: os::machine()?, pid, start: os::start_time(pid)? })
    }

    /// The process that a label names.
    pub(crate) fn parse(label: &str) -> Option<Self> {
        let rest = label.strip_prefix("proc-")?;
        let (rest, start) = rest.rsplit_once('-')?;
        let (machine, pid) = rest.rsplit_once('-')?;
        Some(Self { machine: machine.to_owned(), pid: pid.parse().ok()?, start: start.parse().ok()? })
    }

    /// Whether this is known to be the process of a host that is gone. Only processes that this one can see are known.
    pub(crate) fn is_gone(&self) -> bool {
        os::machine().is_some_and(|machine| machine == self.machine)
            && os::start_time(self.pid) != Some(self.start)
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proc-{}-{}-{}", self.machine, self.pid, self.start)
    }
}

/// The pod of this name, as this host's own one.
async fn read(cluster: &Cluster, namespace: &str, name: &str) -> Option<OwnPod> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    match timeout(REQUEST, api.get_opt(name)).await {
        Ok(Ok(pod)) => {
            let uid = pod?.metadata.uid?;
            Some(OwnPod { namespace: namespace.to_owned(), name: name.to_owned(), uid })
        }
        Ok(Err(error)) => {
            tracing::debug!(error = describe(&error), "the pod of this host is not known");
            None
        }
        Err(_) => None,
    }
}

fn unknown() -> String {
    let random: String = (0..20).map(|_| fastrand::alphanumeric()).collect();
    format!("unknown-{random}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_back_from_its_label() {
        let process = ProcessId { machine: "0123456789abcdef-4026531836".into(), pid: 12, start: 3456 };
        let label = process.to_string();
        assert_eq!(ProcessId::parse(&label), Some(process));
        for other in ["pod-0123", "proc-", "proc-a-b-c", "unknown-1"] {
            assert_eq!(ProcessId::parse(other), None, "{other}");
        }
    }

    /// A cluster that has one pod, `host-1` with the uid `u1`.
    fn cluster(inside: bool) -> Cluster {
        let service = tower::service_fn(|request: http::Request<kube::client::Body>| async move {
            let known = request.uri().path() == "/api/v1/namespaces/hosts/pods/host-1";
            let body = if known {
                r#"{"metadata": {"name": "host-1", "uid": "u1"}}"#
            } else {
                r#"{"kind": "Status", "status": "Failure", "code": 404, "message": "not found", "reason": "NotFound"}"#
            };
            let status = if known { 200 } else { 404 };
            let response = http::Response::builder().status(status);
            response.body(kube::client::Body::from(body.as_bytes().to_vec()))
        });
        Cluster { client: kube::Client::new(service, "hosts"), namespace: "hosts".into(), inside }
    }

    async fn found(inside: bool, variables: &[(&str, &str)]) -> Option<OwnPod> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        HostId::find(&cluster(inside), variable).await.pod
    }

    #[tokio::test]
    async fn a_host_knows_its_pod_by_variables_or_by_its_host_name() {
        let this = OwnPod { namespace: "hosts".into(), name: "host-1".into(), uid: "u1".into() };
        let variables = [("POD_NAME", "host-1"), ("POD_NAMESPACE", "hosts"), ("POD_UID", "u1")];
        assert_eq!(found(true, &variables).await, Some(this.clone()));
        assert_eq!(found(true, &[("HOSTNAME", "host-1")]).await, Some(this.clone()));
        assert_eq!(found(true, &[("HOSTNAME", "node-1")]).await, None);
        assert_eq!(found(false, &[("HOSTNAME", "host-1")]).await, None);
        // With a kubeconfig, the pod may be in another cluster.
        assert_eq!(found(false, &variables).await, Some(this));
        let elsewhere = [("POD_NAME", "host-1"), ("POD_NAMESPACE", "hosts"), ("POD_UID", "u9")];
        assert_eq!(found(false, &elsewhere).await, None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_a_process_of_this_machine_is_known_to_be_gone() {
        let this = ProcessId::this().unwrap();
        assert!(!this.is_gone());
        assert!(this.to_string().len() <= 63, "{this}");
        assert!(
            ProcessId { start: this.start + 1, ..this.clone() }.is_gone(),
            "another process with the same pid"
        );
        assert!(ProcessId { pid: u32::MAX, ..this.clone() }.is_gone());
        assert!(!ProcessId { machine: "0123456789abcdef-1".into(), pid: u32::MAX, ..this }.is_gone());
    }
}
