//! `KubeError`: why a pod does not start, or cannot be reached.

use std::{fmt, time::Duration};

use kube::{client::UpgradeConnectionError, core::Status};
use miette::Diagnostic;

use crate::text::{chain, line};

/// A plugin's pod does not start, or the host cannot reach the pod. A failed launch has this error as the source of
/// [`StartFault::Runner`](rpcplugin_client::StartFault::Runner).
#[derive(Debug, Clone, PartialEq, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum KubeError {
    /// No cluster is configured: there is no usable kubeconfig, and the host is not in a pod with a service account.
    #[error("no cluster is configured: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::no_cluster),
        help(
            "set KUBECONFIG to a file that names a cluster, or run the host in a pod that has the token of a service account"
        )
    )]
    NoCluster {
        /// The cause.
        message: String,
    },
    /// The API server does not accept the credentials.
    #[error("the API server does not accept the credentials of this host: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::unauthorized),
        help("renew the credentials in the kubeconfig, or the token of the service account")
    )]
    Unauthorized {
        /// The answer of the API server.
        message: String,
    },
    /// The host has no permission for a request.
    #[error("the host may not {action}: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::forbidden),
        help(
            "allow it to the host's user or service account in a Role: docs/guide/kubernetes.md has the whole Role"
        )
    )]
    Forbidden {
        /// The request.
        action: Action,
        /// The answer of the API server.
        message: String,
    },
    /// A quota of the namespace does not leave room for the pod.
    #[error("a quota does not allow the pod: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::quota),
        help("ask for less with `Pod::limits`, set the limits that the quota counts, or raise the quota")
    )]
    Quota {
        /// The answer of the API server.
        message: String,
    },
    /// Admission refused the pod: the pod security standard of the namespace, a webhook, a limit range, or a service
    /// account or a runtime class that does not exist.
    #[error("the cluster does not admit the pod: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::refused),
        help("change the pod with the methods of `Pod`, or the rule that refuses it")
    )]
    Refused {
        /// The answer of the API server.
        message: String,
    },
    /// The pod is not valid, such as a label with spaces in it.
    #[error("the API server finds the pod invalid: {message}")]
    #[diagnostic(code(rpcplugin::kube::invalid), help("correct the setting of `Pod` that the message names"))]
    Invalid {
        /// The answer of the API server.
        message: String,
    },
    /// The namespace does not exist.
    #[error("the cluster has no namespace {namespace}")]
    #[diagnostic(
        code(rpcplugin::kube::no_namespace),
        help("create the namespace, or name another one with `Pod::namespace`")
    )]
    NoNamespace {
        /// The namespace.
        namespace: String,
    },
    /// The API server failed, or does not answer.
    #[error("the host could not {action}: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::api),
        help("check with `kubectl get pods` that the cluster answers, and launch again")
    )]
    Api {
        /// The request.
        action: Action,
        /// The answer, or why there was no answer.
        message: String,
    },
    /// The node cannot get the image.
    #[error("the node has no image {image}: {reason}: {message}")]
    #[diagnostic(code(rpcplugin::kube::image), help("{}", image_help(reason)))]
    Image {
        /// The image.
        image: String,
        /// The reason of the kubelet, such as `ErrImagePull`.
        reason: String,
        /// The explanation of the kubelet or of the registry.
        message: String,
    },
    /// The kubelet cannot make the container from the pod's settings.
    #[error("the container cannot be created: {reason}: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::configuration),
        help(
            "correct what the message names: a secret or config map that does not exist, or an image that runs as root; \
             `Pod::user` sets the user"
        )
    )]
    Configuration {
        /// The reason of the kubelet, such as `CreateContainerConfigError`.
        reason: String,
        /// The explanation of the kubelet.
        message: String,
    },
    /// No node has room for the pod, or fits it.
    #[error("no node took the pod within {} s: {message}", after.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::kube::unschedulable),
        help(
            "ask for less with `Pod::limits`, change node selectors and tolerations, or add nodes; where the cluster adds \
             nodes by itself, raise `Pod::schedule_timeout`"
        )
    )]
    Unschedulable {
        /// How long the host waited.
        after: Duration,
        /// The explanation of the scheduler.
        message: String,
    },
    /// The container was made, and its program cannot be executed.
    #[error("the container's program cannot be started: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::not_runnable),
        help(
            "check the command: `Pod::command` replaces the entry point of the image, and the program has to be there, \
             executable for the user of the container, and built for the node's processor"
        )
    )]
    NotRunnable {
        /// The explanation of the container runtime.
        message: String,
    },
    /// An init container failed: that of the bridge, or one that `Pod::adjust` added.
    #[error("the init container {container} failed with exit status {status}: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::init_failed),
        help(
            "check that the image of `Bridge::from_image` has the program `rpcplugin` of this version at the path given"
        )
    )]
    InitFailed {
        /// The name of the init container.
        container: String,
        /// Its exit status.
        status: i32,
        /// The explanation.
        message: String,
    },
    /// The kubelet of the node refused the pod.
    #[error("the node refused the pod: {reason}: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::rejected),
        help("launch again: another node may take the pod; otherwise correct what the message names")
    )]
    Rejected {
        /// The reason of the kubelet, such as `OutOfcpu` or `Evicted`.
        reason: String,
        /// The explanation of the kubelet.
        message: String,
    },
    /// The pod was deleted while it started, and not by this host.
    #[error("the pod {pod} was deleted while it started: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::removed),
        help("launch again, and find the program or the person that deletes pods in this namespace")
    )]
    Removed {
        /// The pod.
        pod: String,
        /// What is known of the deletion.
        message: String,
    },
    /// The digest is not one.
    #[error("{digest:?} is not the digest of an image")]
    #[diagnostic(
        code(rpcplugin::kube::digest),
        help("give `Pod::digest` the text `sha256:` and 64 hexadecimal digits in lower case")
    )]
    Digest {
        /// The text.
        digest: String,
    },
    /// A variable has a value that Kubernetes cannot store.
    #[error("the value of the variable {name} is not UTF-8")]
    #[diagnostic(
        code(rpcplugin::kube::variable),
        help("encode the value as text, or mount it as a file with `Pod::adjust`")
    )]
    Variable {
        /// The name of the variable.
        name: String,
    },
    /// A bridge needs the command of the plugin.
    #[error("the bridge does not know the plugin's command")]
    #[diagnostic(
        code(rpcplugin::kube::bridge_command),
        help(
            "name the plugin's program with `Pod::command`: the entry point of the image is not known to the host"
        )
    )]
    BridgeCommand,
    /// The plugin listens on a Unix socket in its pod, which no other pod can reach.
    #[error("the plugin listens on the Unix socket {path} in its pod, which the host cannot reach")]
    #[diagnostic(
        code(rpcplugin::kube::unix_socket),
        help(
            "let the plugin read its settings from the environment (`Serve::load_config`), which has PLUGIN_SERVER_TRANSPORTS=tcp, \
             or run the plugin through `Pod::bridge`"
        )
    )]
    UnixSocket {
        /// The path of the socket in the pod.
        path: String,
    },
    /// The plugin asked for a connection to a socket of the host, which pods cannot reach.
    #[error("the plugin in its pod cannot connect to the host's {endpoint}")]
    #[diagnostic(
        code(rpcplugin::kube::not_multiplexed),
        help(
            "set `PLUGIN_MULTIPLEX_GRPC=true` or `HostConfig::multiplex`: then callbacks and brokered services share the \
             connection that the host opened"
        )
    )]
    NotMultiplexed {
        /// The endpoint of the host.
        endpoint: String,
    },
    /// The API server cannot forward the port of the pod.
    #[error("the port {port} of the pod {pod} cannot be forwarded: {message}")]
    #[diagnostic(
        code(rpcplugin::kube::port_forward),
        help(
            "check that the plugin runs and listens on that port, and that a Role allows the host to get and create \
             pods/portforward"
        )
    )]
    PortForward {
        /// The pod.
        pod: String,
        /// The port.
        port: u16,
        /// The answer of the API server or of the kubelet.
        message: String,
    },
}

/// A request to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Create pods.
    Create,
    /// Get pods.
    Get,
    /// Watch pods.
    Watch,
    /// Read the logs of pods.
    Logs,
    /// Open a connection to the API server.
    Connect,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create pods",
            Self::Get => "get pods",
            Self::Watch => "watch pods",
            Self::Logs => "get pods/log",
            Self::Connect => "connect to the API server",
        })
    }
}

impl KubeError {
    /// The error of a request that failed.
    pub(crate) fn of(action: Action, namespace: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::answered(action, namespace, status),
            kube::Error::Auth(error) => Self::Unauthorized { message: chain(error) },
            other => Self::Api { action, message: describe(other) },
        }
    }

    fn answered(action: Action, namespace: &str, status: &Status) -> Self {
        let message = line(&status.message);
        let about = status.details.as_ref().map_or("", |details| &*details.kind);
        match status.code {
            401 => Self::Unauthorized { message },
            403 if is_rbac(&message) => Self::Forbidden { action, message },
            403 if message.contains("exceeded quota") || message.contains("failed quota") => {
                Self::Quota { message }
            }
            403 => Self::Refused { message },
            // A webhook chooses its own code.
            _ if message.contains("admission webhook") && message.contains("denied the request") => {
                Self::Refused { message }
            }
            404 if about == "namespaces" => Self::NoNamespace { namespace: namespace.to_owned() },
            400 | 422 if action == Action::Create => Self::Invalid { message },
            code if message.is_empty() => Self::Api { action, message: format!("HTTP status {code}") },
            _ => Self::Api { action, message },
        }
    }
}

/// Whether a repetition of the request can have another outcome while nothing else changes.
pub(crate) fn is_final(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403))
}

/// Whether the API server says that what the request names does not exist. A 404 of a proxy does not count.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found())
}

/// The error on one line, without the debugging output that kube adds to it.
pub(crate) fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => line(&status.message),
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
            format!("the API server answers {status} in place of opening the connection")
        }
        // A failed connection says more in its causes.
        kube::Error::Service(error) => chain(&**error),
        kube::Error::HyperError(error) => chain(error),
        other => chain(other),
    }
}

/// Whether this is the refusal of the authorizer, and not of admission.
fn is_rbac(message: &str) -> bool {
    message.contains("User \"") && message.contains("\" cannot ")
}

fn image_help(reason: &str) -> &'static str {
    match reason {
        "ErrImageNeverPull" => "load the image on the nodes, or let the node pull it: `Pod::pull`",
        "InvalidImageName" => "correct the name of the image",
        _ => {
            "check the name and the digest of the image, and that the node may pull it: `Pod::pull_secret` names the \
             credentials of a registry"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> KubeError {
        let status = Status::failure(message, "").with_code(code);
        KubeError::of(Action::Create, "plugins", &kube::Error::Api(status.boxed()))
    }

    #[track_caller]
    fn code(code: u16, message: &str) -> String {
        answer(code, message).code().unwrap().to_string()
    }

    #[test]
    fn refusals_of_the_api_server_have_codes_of_their_own() {
        let rbac = r#"pods is forbidden: User "system:serviceaccount:a:b" cannot create resource "pods" in API group "" in the namespace "a""#;
        for (status, message, expected) in [
            (401, "Unauthorized", "rpcplugin::kube::unauthorized"),
            (403, rbac, "rpcplugin::kube::forbidden"),
            (
                403,
                r#"pods "kv" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"#,
                "rpcplugin::kube::quota",
            ),
            (
                403,
                r#"pods "kv" is forbidden: failed quota: q: must specify limits.cpu for: plugin"#,
                "rpcplugin::kube::quota",
            ),
            (
                403,
                r#"pods "kv" is forbidden: violates PodSecurity "restricted:latest": hostPort"#,
                "rpcplugin::kube::refused",
            ),
            (400, r#"admission webhook "policy" denied the request: no"#, "rpcplugin::kube::refused"),
            (422, r#"Pod "kv" is invalid: metadata.labels: Invalid value"#, "rpcplugin::kube::invalid"),
            (500, "etcdserver: request timed out", "rpcplugin::kube::api"),
            (404, "the server could not find the requested resource", "rpcplugin::kube::api"),
        ] {
            assert_eq!(code(status, message), expected, "{message}");
        }
        let mut missing = Status::failure(r#"namespaces "plugins" not found"#, "NotFound").with_code(404);
        missing.details = serde_json::from_value(serde_json::json!({"kind": "namespaces"})).unwrap();
        let error = KubeError::of(Action::Create, "plugins", &kube::Error::Api(missing.boxed()));
        assert_eq!(error, KubeError::NoNamespace { namespace: "plugins".into() });
    }

    #[test]
    fn an_answer_is_shown_without_debugging_output() {
        let shown = answer(500, "etcdserver: request timed out").to_string();
        assert_eq!(shown, "the host could not create pods: etcdserver: request timed out");
        assert!(
            answer(403, "pods \"kv\" is forbidden:\n violates").to_string().ends_with("forbidden: violates")
        );
    }

    #[test]
    fn help_for_an_image_depends_on_the_reason() {
        let help = |reason: &str| {
            let error =
                KubeError::Image { image: "kv".into(), reason: reason.into(), message: String::new() };
            error.help().unwrap().to_string()
        };
        assert!(help("ErrImageNeverPull").contains("Pod::pull"));
        assert!(help("ImagePullBackOff").contains("Pod::pull_secret"));
    }
}
