//! The runner against an API server that exists in this process and fails in the ways of a real one. The tests against a real cluster are in
//! `tests/cluster.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::needless_pass_by_value, reason = "statuses are written where they are used")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use rpcplugin::{
    Host, LaunchError, MagicCookie, PluginChannel, Serve, Services,
    config::Loader,
    host::{LaunchEnvironment, LaunchFault, Runner as _, StartFault, StartedProcess},
};
use rpcplugin_kube::{KubeError, Pod, PodProcess};
use serde_json::{Value, json};

mod endings;
mod logs;
mod orphans;
mod server;
mod starting;

use server::FakeCluster;

const COOKIE: &str = "KUBE_TEST_PLUGIN";

fn cookie() -> MagicCookie {
    MagicCookie::new(COOKIE, "in a pod").unwrap()
}

/// A host of the plugin below.
fn host() -> Host {
    Host::new(cookie(), 1)
}

/// The plugin: this program, which the fake kubelet starts with the cookie. In a run of the tests it does nothing.
#[expect(clippy::disallowed_methods, reason = "the kubelet sets the variables")]
#[test]
fn plugin_process() {
    if std::env::var_os(COOKIE).is_none() {
        return;
    }
    if let Some(code) = std::env::var("EXIT_WITH").ok().and_then(|code| code.parse().ok()) {
        eprintln!("the last words");
        std::process::exit(code);
    }
    let serve = Serve::new(cookie()).version_with(1, |context| {
        if std::env::var_os("CALLS_ITS_HOST").is_some() {
            tokio::spawn(call_the_host(context.host_channel()));
        }
        Services::new()
    });
    let code = serve.load_config(&Loader::new().process_env()).main();
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

/// Calls the host's health service, and logs the answer.
async fn call_the_host(channel: PluginChannel) {
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    match client.check(tonic_health::pb::HealthCheckRequest::default()).await {
        Ok(_) => tracing::info!("the host has answered"),
        Err(status) => tracing::error!("the host has not answered: {status}"),
    }
}

/// A port that is free now, for a plugin that shares the network of the test.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A runner in the fake cluster.
fn pod(cluster: &FakeCluster) -> Pod {
    Pod::new("localhost/kv:1").client(cluster.client()).namespace(server::NAMESPACE).port(free_port())
}

/// A status of a container that waits.
fn waiting(reason: &str, message: &str) -> Value {
    server::status_with("Pending", json!({"waiting": {"reason": reason, "message": message}}))
}

fn running() -> Value {
    server::status_with("Running", json!({"running": {}}))
}

/// Starts a pod without a host.
async fn start(pod: &Pod) -> Result<StartedProcess<PodProcess>, KubeError> {
    pod.start(&LaunchEnvironment::new("/run/kv")).await.map_err(|fault| kube_error(&fault).clone())
}

/// The error of the runner in the fault.
#[track_caller]
fn kube_error(fault: &LaunchFault) -> &KubeError {
    let LaunchFault::Start(StartFault::Runner(source)) = fault else { panic!("{fault:?}") };
    source.downcast_ref().unwrap_or_else(|| panic!("{source:?}"))
}
