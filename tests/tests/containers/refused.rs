//! Starts that fail, each with its own code.

use rpcplugin::docker::User;

use super::*;

async fn refused(container: &Container) -> (String, String) {
    let place = Place::new();
    let error = place.launch(container).await.map(drop).unwrap_err();
    let text = format!("{error:?}");
    assert!(place.directories().is_empty(), "{:?}", place.directories());
    (code(&error), text)
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn images_that_are_missing_or_changed_are_named() {
    let missing = Container::new("localhost/rpcplugin-tests/none:1").engine(podman::engine());
    let (code, text) = refused(&missing).await;
    assert_eq!(code, "rpcplugin::docker::image_missing");
    assert!(text.contains("localhost/rpcplugin-tests/none:1"), "{text}");
    let (code, _) = refused(&missing.pull(rpcplugin::docker::Pull::IfMissing)).await;
    assert_eq!(code, "rpcplugin::docker::pull_failed");

    let other = format!("sha256:{}", "0".repeat(64));
    let (code, _) = refused(&rust().digest(&other)).await;
    assert_eq!(code, "rpcplugin::docker::wrong_digest");
    let id = podman::output(&format!("image inspect --format {{{{.Id}}}} {RUST}"));
    let place = Place::new();
    let plugin = place.launch(&rust().digest(format!("sha256:{id}"))).await.unwrap();
    plugin.shut_down().await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn engines_and_runtimes_that_are_missing_are_named() {
    let (code, _) = refused(&rust().engine("unix:///tmp/rpcplugin-no-engine.sock")).await;
    assert_eq!(code, "rpcplugin::docker::engine_unreachable");
    let (code, text) = refused(&rust().runtime("nosuch")).await;
    assert_eq!(code, "rpcplugin::docker::runtime_missing");
    assert!(text.contains("runc"), "{text}");
    // Podman lists runsc, and takes no runtime over this API.
    let (code, _) = refused(&rust().runtime("runsc")).await;
    assert_eq!(code, "rpcplugin::docker::runtime_ignored");
    let engine = rust().check().await.unwrap();
    assert_eq!((&*engine.name, engine.is_rootless), ("Podman Engine", false));
    assert_eq!(engine.default_runtime, "runc");
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_program_that_the_image_lacks_is_named() {
    let (code, text) = refused(&rust().entrypoint(["/nosuch"])).await;
    assert_eq!(code, "rpcplugin::docker::not_started");
    assert!(text.contains("/nosuch"), "{text}");
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_user_without_permission_on_the_directory_is_refused_and_a_shared_group_helps() {
    let other = User::Ids { uid: 65534, gid: 65534 };
    let (code, text) = refused(&rust().user(other)).await;
    assert_eq!(code, "rpcplugin::docker::socket_dir");
    assert!(text.contains("65534"), "{text}");

    let place = Place::new();
    let host = place.host(|config| config.unix_socket_group = Some("54321".to_owned()));
    let plugin = host.launch_with(&rust().user(other)).await.unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", podman::pid(&name(&plugin)))).unwrap();
    let line =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert!(line("Uid:").starts_with("65534"), "{status}");
    assert!(line("Groups:").contains("54321"), "{status}");
    assert!(implementation(&plugin).await.contains("rpcplugin"));
    let container = name(&plugin);
    plugin.shut_down().await;
    place.is_empty(&container).await;
}
