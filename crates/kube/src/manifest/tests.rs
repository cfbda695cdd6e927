use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::{
    host_id::OwnPod,
    settings::{Bridge, Pull},
};

fn settings() -> PodSettings {
    PodSettings::new("ghcr.io/me/kv-plugin:1.2".into())
}

fn outside() -> HostId {
    HostId { label: "proc-0123456789abcdef-1-2-3".into(), pod: None }
}

fn handshake() -> Vec<(String, OsString)> {
    let offered = [
        ("KV_COOKIE", "hello"),
        ("PLUGIN_MIN_PORT", "10000"),
        ("PLUGIN_MAX_PORT", "25000"),
        ("PLUGIN_UNIX_SOCKET_DIR", "/tmp/of-the-host"),
        ("PLUGIN_ORPHAN_TIMEOUT", "60s"),
    ];
    offered.map(|(name, value)| (name.to_owned(), value.into())).into()
}

/// The pod as the API server gets it.
fn made(settings: &PodSettings) -> Json {
    made_by(settings, &outside(), Owner::Auto)
}

fn made_by(settings: &PodSettings, host: &HostId, owner: Owner) -> Json {
    serde_json::to_value(pod(settings, "plugins", handshake(), host, owner).unwrap()).unwrap()
}

fn variable<'p>(pod: &'p Json, name: &str) -> Option<&'p Json> {
    let variables = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    let mut named = variables.iter().filter(|variable| variable["name"] == name);
    let found = named.next();
    assert!(named.next().is_none(), "{name} is set twice");
    found
}

#[test]
fn a_pod_meets_the_restricted_standard() {
    let pod = made(&settings());
    let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
    assert_eq!(
        spec["securityContext"],
        json!({
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        })
    );
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        })
    );
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["enableServiceLinks"], false);
    assert_eq!(spec["restartPolicy"], "Never");
    assert_eq!(spec["terminationGracePeriodSeconds"], 10);
    assert_eq!(container["volumeMounts"], json!([{"name": "tmp", "mountPath": "/tmp"}]));
    assert!(pod["metadata"]["name"].as_str().unwrap().starts_with("kv-plugin-"));
    assert_eq!(pod["metadata"]["labels"]["app.kubernetes.io/managed-by"], "rpcplugin");
    assert_eq!(pod["metadata"]["labels"]["rpcplugin/plugin"], "kv-plugin");
}

#[test]
fn the_plugin_listens_on_one_tcp_port_and_the_hosts_directory_is_left_out() {
    let pod = made(&PodSettings { port: 7777, ..settings() });
    for (name, value) in [
        ("KV_COOKIE", "hello"),
        ("PLUGIN_SERVER_TRANSPORTS", "tcp"),
        ("PLUGIN_SERVER_HOST", "0.0.0.0"),
        ("PLUGIN_SERVER_PORT", "7777"),
        ("PLUGIN_MIN_PORT", "7777"),
        ("PLUGIN_MAX_PORT", "7777"),
        ("PLUGIN_ORPHAN_TIMEOUT", "60s"),
    ] {
        assert_eq!(variable(&pod, name).unwrap()["value"], value, "{name}");
    }
    assert_eq!(variable(&pod, "PLUGIN_UNIX_SOCKET_DIR"), None);
    assert_eq!(variable(&pod, "PATH"), None, "nothing of the host's environment");
    assert_eq!(pod["spec"]["containers"][0]["ports"][0]["containerPort"], 7777);
}

#[test]
fn variables_of_the_settings_win_and_may_come_from_a_secret() {
    let env = vec![
        ("PLUGIN_SERVER_HOST".to_owned(), Value::Text("::".into())),
        ("TOKEN".to_owned(), Value::Secret { name: "kv".into(), key: "token".into() }),
    ];
    let pod = made(&PodSettings { env, ..settings() });
    assert_eq!(variable(&pod, "PLUGIN_SERVER_HOST").unwrap()["value"], "::");
    let from = json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "kv", "key": "token"}}});
    assert_eq!(*variable(&pod, "TOKEN").unwrap(), from);
}

#[test]
fn an_image_is_pinned_by_its_digest() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let pinned = PodSettings { digest: Some(digest.clone()), ..settings() };
    assert_eq!(made(&pinned)["spec"]["containers"][0]["image"], format!("ghcr.io/me/kv-plugin:1.2@{digest}"));
    let wrong = PodSettings { digest: Some("sha256:0a".into()), ..settings() };
    let refused = pod(&wrong, "plugins", handshake(), &outside(), Owner::Auto).unwrap_err();
    assert_eq!(refused, KubeError::Digest { digest: "sha256:0a".into() });
}

#[test]
fn limits_and_the_rest_of_the_settings_reach_the_pod() {
    let pod = made(&PodSettings {
        command: vec!["/kv".into()],
        args: vec!["-v".into()],
        pull: Pull::Never,
        pull_secrets: vec!["registry".into()],
        limits: Limits::new().memory(32 << 20).cpus(0.25).storage(1 << 30),
        requests: Limits::new().cpus(0.0001).memory(0),
        runtime_class: Some("gvisor".into()),
        node_selector: BTreeMap::from([("disk".into(), "ssd".into())]),
        service_account: Some("kv".into()),
        user: None,
        tmp: 0,
        grace: Duration::from_millis(1500),
        max_lifetime: Some(Duration::from_secs(3600)),
        ..settings()
    });
    let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
    assert_eq!((&container["command"], &container["args"]), (&json!(["/kv"]), &json!(["-v"])));
    assert_eq!(container["imagePullPolicy"], "Never");
    let limits = json!({"memory": "33554432", "cpu": "250m", "ephemeral-storage": "1073741824"});
    assert_eq!(container["resources"], json!({"limits": limits, "requests": {"cpu": "1m", "memory": "1"}}));
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "registry"}]));
    assert_eq!(
        (&spec["runtimeClassName"], &spec["nodeSelector"]),
        (&json!("gvisor"), &json!({"disk": "ssd"}))
    );
    assert_eq!(spec["serviceAccountName"], "kv");
    assert_eq!(spec["securityContext"]["runAsUser"], Json::Null);
    assert_eq!(spec["volumes"], Json::Null);
    assert_eq!(
        (&spec["terminationGracePeriodSeconds"], &spec["activeDeadlineSeconds"]),
        (&json!(2), &json!(3600))
    );
}

#[test]
fn a_bridge_runs_the_command_of_the_plugin() {
    let plugin = PodSettings { command: vec!["/kv".into(), "serve".into()], ..settings() };
    let pod = made(&PodSettings { bridge: Some(Bridge::in_image("/bin/rpcplugin")), ..plugin.clone() });
    assert_eq!(
        pod["spec"]["containers"][0]["command"],
        json!(["/bin/rpcplugin", "bridge", "--listen", "0.0.0.0:7400", "--", "/kv", "serve"])
    );
    assert_eq!(pod["spec"]["initContainers"], Json::Null);
    // The bridge has the port of the pod.
    assert_eq!(variable(&pod, "PLUGIN_SERVER_PORT"), None);
    assert_eq!(variable(&pod, "PLUGIN_MIN_PORT").unwrap()["value"], "10000");

    let pod = made(&PodSettings { bridge: Some(Bridge::from_image("rpcplugin:1", "/rpcplugin")), ..plugin });
    let init = &pod["spec"]["initContainers"][0];
    assert_eq!((&init["image"], &init["command"]), (&json!("rpcplugin:1"), &json!(["/rpcplugin"])));
    assert_eq!(init["args"], json!(["bridge", "--install", "/rpcplugin-bridge/rpcplugin"]));
    let container = &pod["spec"]["containers"][0];
    assert_eq!(
        container["command"],
        json!(["/rpcplugin-bridge/rpcplugin", "bridge", "--listen", "0.0.0.0:7400", "--", "/kv", "serve"])
    );
    assert_eq!(init["volumeMounts"][0], container["volumeMounts"][1]);

    let without = PodSettings { bridge: Some(Bridge::in_image("/rpcplugin")), ..settings() };
    let refused = super::pod(&without, "plugins", handshake(), &outside(), Owner::Auto);
    assert_eq!(refused.unwrap_err(), KubeError::BridgeCommand);
}

#[test]
fn the_hosts_pod_owns_the_pod_in_its_own_namespace_only() {
    let own = |namespace: &str| HostId {
        label: "pod-u1".into(),
        pod: Some(OwnPod { namespace: namespace.into(), name: "host-1".into(), uid: "u1".into() }),
    };
    let pod = made_by(&settings(), &own("plugins"), Owner::Auto);
    let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": "host-1", "uid": "u1"}]);
    assert_eq!(pod["metadata"]["ownerReferences"], owner);
    assert_eq!(pod["metadata"]["labels"]["rpcplugin/host"], "pod-u1");

    let pod = made_by(&settings(), &own("hosts"), Owner::Auto);
    assert_eq!(pod["metadata"]["ownerReferences"], Json::Null);
    assert_eq!(pod["metadata"]["annotations"]["rpcplugin/host-pod"], "hosts/host-1");

    let pod = made_by(&settings(), &own("plugins"), Owner::None);
    assert_eq!(pod["metadata"]["ownerReferences"], Json::Null);
    assert_eq!(pod["metadata"]["labels"]["rpcplugin/host"], Json::Null);
}

#[test]
fn a_last_change_sees_the_whole_pod() {
    let adjust: crate::settings::Adjust = Arc::new(|pod: &mut Pod| {
        pod.spec.as_mut().unwrap().priority_class_name = Some("low".into());
    });
    let pod = made(&PodSettings { adjust: Some(adjust), ..settings() });
    assert_eq!(pod["spec"]["priorityClassName"], "low");
}
