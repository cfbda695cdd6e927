//! The pod object of a plugin.

use std::{collections::BTreeMap, ffi::OsString, time::Duration};

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
        LocalObjectReference, Pod, PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile,
        SecretKeySelector, SecurityContext, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use crate::{
    error::KubeError,
    host_id::HostId,
    orphans::{HOST, HOST_POD, MANAGED_BY, PLUGIN},
    settings::{Limits, Owner, PodSettings, Value},
    status::CONTAINER,
    text::{is_digest, label, plugin_name, pod_name},
};

/// Makes the pod of one launch. `handshake` are the variables that the host offers.
pub(crate) fn pod(
    settings: &PodSettings,
    namespace: &str,
    handshake: Vec<(String, OsString)>,
    host: &HostId,
    owner: Owner,
) -> Result<Pod, KubeError> {
    let name = settings.name.as_deref().unwrap_or_else(|| plugin_name(&settings.image));
    let mut labels = settings.labels.clone();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels.insert(PLUGIN.to_owned(), label(name, LONGEST_LABEL));
    let mut annotations = settings.annotations.clone();
    let mut owners = None;
    if owner == Owner::Auto {
        labels.insert(HOST.to_owned(), host.label.clone());
        if let Some(own) = &host.pod {
            annotations.insert(HOST_POD.to_owned(), format!("{}/{}", own.namespace, own.name));
            // An owner in another namespace does not exist for the cluster, which would delete the pod at once.
            owners = (own.namespace == namespace).then(|| vec![own.as_owner()]);
        }
    }
    let mut pod = Pod {
        metadata: ObjectMeta {
            name: Some(pod_name(name)),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            owner_references: owners,
            ..ObjectMeta::default()
        },
        spec: Some(spec(settings, handshake)?),
        status: None,
    };
    if let Some(adjust) = &settings.adjust {
        adjust(&mut pod);
    }
    Ok(pod)
}

fn spec(settings: &PodSettings, handshake: Vec<(String, OsString)>) -> Result<PodSpec, KubeError> {
    let user = settings.user;
    let mut volumes = Vec::new();
    let mut mounts = Vec::new();
    if settings.tmp > 0 {
        volumes.push(empty_dir(TMP, Some(settings.tmp)));
        mounts.push(mount(TMP, "/tmp"));
    }
    let (mut command, mut init) = (settings.command.clone(), Vec::new());
    if let Some(bridge) = &settings.bridge {
        if command.is_empty() {
            return Err(KubeError::BridgeCommand);
        }
        let program = match &bridge.image {
            None => bridge.program.clone(),
            Some(image) => {
                let installed = format!("{BRIDGE_DIR}/rpcplugin");
                volumes.push(empty_dir(BRIDGE, None));
                mounts.push(mount(BRIDGE, BRIDGE_DIR));
                init.push(Container {
                    name: BRIDGE.to_owned(),
                    image: Some(image.clone()),
                    image_pull_policy: Some(settings.pull.as_str().to_owned()),
                    command: Some(vec![bridge.program.clone()]),
                    args: Some(["bridge", "--install", &installed].map(str::to_owned).into()),
                    resources: resources(settings),
                    security_context: Some(container_security()),
                    volume_mounts: Some(vec![mount(BRIDGE, BRIDGE_DIR)]),
                    ..Container::default()
                });
                installed
            }
        };
        let listen = format!("{LISTEN}:{}", settings.port);
        let bridge = [&*program, "bridge", "--listen", &listen, "--"].map(str::to_owned);
        command.splice(0..0, bridge);
    }
    let container = Container {
        name: CONTAINER.to_owned(),
        image: Some(image(settings)?),
        image_pull_policy: Some(settings.pull.as_str().to_owned()),
        command: Some(command).filter(|command| !command.is_empty()),
        args: Some(settings.args.clone()).filter(|args| !args.is_empty()),
        env: Some(environment(settings, handshake)?),
        ports: Some(vec![ContainerPort {
            name: Some("plugin".to_owned()),
            container_port: i32::from(settings.port),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        resources: resources(settings),
        security_context: Some(container_security()),
        volume_mounts: Some(mounts).filter(|mounts| !mounts.is_empty()),
        ..Container::default()
    };
    let secrets = settings.pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    let secrets: Vec<_> = secrets.collect();
    Ok(PodSpec {
        containers: vec![container],
        init_containers: Some(init).filter(|init| !init.is_empty()),
        volumes: Some(volumes).filter(|volumes| !volumes.is_empty()),
        // A restart by the kubelet would make another identity, which the host does not know. The supervisor restarts.
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        // Variables with the addresses of all services are no business of a plugin.
        enable_service_links: Some(false),
        service_account_name: settings.service_account.clone(),
        image_pull_secrets: Some(secrets).filter(|secrets| !secrets.is_empty()),
        runtime_class_name: settings.runtime_class.clone(),
        node_selector: Some(settings.node_selector.clone()).filter(|selector| !selector.is_empty()),
        tolerations: Some(settings.tolerations.clone()).filter(|tolerations| !tolerations.is_empty()),
        termination_grace_period_seconds: Some(seconds(settings.grace)),
        active_deadline_seconds: settings.max_lifetime.map(|time| seconds(time).max(1)),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: user,
            run_as_group: user,
            fs_group: user,
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    })
}

/// The image, pinned by its digest if there is one.
fn image(settings: &PodSettings) -> Result<String, KubeError> {
    match &settings.digest {
        None => Ok(settings.image.clone()),
        Some(digest) if is_digest(digest) => {
            let named = settings.image.split_once('@').map_or(&*settings.image, |(named, _)| named);
            Ok(format!("{named}@{digest}"))
        }
        Some(digest) => Err(KubeError::Digest { digest: digest.clone() }),
    }
}

/// The variables: those of the handshake, those that make the plugin listen where the host can reach it, and then those of the settings,
/// which win.
fn environment(settings: &PodSettings, handshake: Vec<(String, OsString)>) -> Result<Vec<EnvVar>, KubeError> {
    let mut variables: BTreeMap<String, EnvVar> = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        let variable = EnvVar { name: name.to_owned(), value: Some(value), value_from: None };
        variables.insert(name.to_owned(), variable);
    };
    for (name, value) in handshake {
        // The directory is one of the host, and so is the group.
        if !OF_THE_HOST.contains(&&*name) {
            let Ok(value) = value.into_string() else { return Err(KubeError::Variable { name }) };
            set(&name, value);
        }
    }
    // Behind a bridge, the plugin listens as it likes, and not on the port of the bridge.
    if settings.bridge.is_none() {
        let port = settings.port.to_string();
        set("PLUGIN_SERVER_TRANSPORTS", "tcp".to_owned());
        set("PLUGIN_SERVER_HOST", LISTEN.to_owned());
        set("PLUGIN_SERVER_PORT", port.clone());
        set("PLUGIN_MIN_PORT", port.clone());
        set("PLUGIN_MAX_PORT", port);
    }
    for (name, value) in &settings.env {
        let (text, from) = match value {
            Value::Text(text) => (Some(text.clone()), None),
            Value::Secret { name, key } => {
                let selector = SecretKeySelector { name: name.clone(), key: key.clone(), optional: None };
                (None, Some(EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() }))
            }
        };
        variables.insert(name.clone(), EnvVar { name: name.clone(), value: text, value_from: from });
    }
    Ok(variables.into_values().collect())
}

fn resources(settings: &PodSettings) -> Option<ResourceRequirements> {
    let (limits, requests) = (amounts(settings.limits), amounts(settings.requests));
    (limits.is_some() || requests.is_some()).then(|| ResourceRequirements {
        limits,
        requests,
        ..ResourceRequirements::default()
    })
}

fn amounts(limits: Limits) -> Option<BTreeMap<String, Quantity>> {
    // For a node, zero is no limit.
    let bytes = |amount: Option<u64>| amount.map(|bytes| Quantity(bytes.max(1).to_string()));
    let cpus = limits.cpus.map(|cpus| Quantity(format!("{}m", (cpus * 1000.0).ceil().max(1.0))));
    let all = [("memory", bytes(limits.memory)), ("cpu", cpus), ("ephemeral-storage", bytes(limits.storage))];
    let set: BTreeMap<_, _> =
        all.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount?))).collect();
    Some(set).filter(|set| !set.is_empty())
}

/// What the pod security standard `restricted` asks of a container, and a root file system that cannot be written.
fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

fn empty_dir(name: &str, limit: Option<u64>) -> Volume {
    let size_limit = limit.map(|bytes| Quantity(bytes.to_string()));
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium: None, size_limit }),
        ..Volume::default()
    }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

/// Kubernetes counts whole seconds.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).unwrap_or(i64::MAX)
}

/// Every address of the pod: the kubelet forwards to the loopback, and hosts connect to the address of the pod.
const LISTEN: &str = "0.0.0.0";
const TMP: &str = "tmp";
const BRIDGE: &str = "bridge";
const BRIDGE_DIR: &str = "/rpcplugin-bridge";
const LONGEST_LABEL: usize = 63;
/// Variables of the handshake that name files and groups of the host's machine.
const OF_THE_HOST: [&str; 2] = ["PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_UNIX_SOCKET_GROUP"];

#[cfg(test)]
mod tests;
