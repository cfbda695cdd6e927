//! The code of `docs/guide/containers.md`.

use rpcplugin::{
    docker::{Credentials, Pull},
    host::{ExitCause, ExitReason},
};

use super::*;

/// A container with limits.
fn limited(image: &str, digest: &str) -> Container {
    Container::new(image).digest(digest).memory(64 << 20).cpus(0.5).pids(64)
}

/// An image from a registry.
fn fetched(image: &str, token: &str) -> Container {
    Container::new(image).pull(Pull::IfMissing).credentials(Credentials::new("ci", token))
}

/// What a host says when its plugin has ended.
fn explained(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Reported(report) if report.cause == ExitCause::OutOfMemory => {
            format!("give the plugin more memory: {}", report.message)
        }
        reason => format!("the plugin ended: {reason}"),
    }
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn the_code_of_the_guide_works() {
    let place = Place::new();
    let id = podman::output(&format!("image inspect --format {{{{.Id}}}} {RUST}"));
    let container = limited(RUST, &format!("sha256:{id}")).engine(podman::engine());
    let host = place.host(|_| {});
    let plugin = host.launch_with(&container).await.unwrap();
    assert!(implementation(&plugin).await.contains("rpcplugin"));
    let name = name(&plugin);
    plugin.shut_down().await;
    place.is_empty(&name).await;

    let container = fetched(RUST, "token").engine(podman::engine());
    assert!(!format!("{container:?}").contains("token"));
    container.check().await.unwrap();
    assert_eq!(explained(&ExitReason::Status(3)), "the plugin ended: exit status 3");
}
