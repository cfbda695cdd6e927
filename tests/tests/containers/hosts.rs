//! Hosts that are killed, and hosts that hand their plugins over.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Instant,
};

use rpcplugin::{Exit, host::Handover};
use rpcplugin_tests::support::{process::send, programs};
use rustix::process::Signal;

use super::*;

/// The variables of a host that the test kills: this program again.
const SOCKETS: &str = "RPCPLUGIN_TEST_SOCKETS";
const IMAGE: &str = "RPCPLUGIN_TEST_IMAGE";

/// Not a test: the host that [`Mortal`] starts. It launches a plugin, prints the name of its container, and waits to be killed.
#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
#[expect(clippy::disallowed_methods, reason = "the variables of a program")]
async fn mortal_host() {
    let Some(sockets) = std::env::var_os(SOCKETS) else { return };
    let image = std::env::var(IMAGE).unwrap();
    let host =
        Host::new(contract::cookie(), Versions::new(contract::VERSIONS).unwrap()).configure(|config| {
            config.unix_socket_dir = Some(sockets.into());
            config.orphan_timeout = Duration::from_secs(2);
            config.launch_timeout = Duration::from_secs(60);
        });
    let container = Container::new(image).engine(podman::engine()).entrypoint(["/kit-plugin"]);
    let plugin = host.launch_with(&container).await.unwrap();
    println!("\ncontainer {}", name(&plugin));
    std::future::pending().await
}

/// A host that the test kills.
struct Mortal {
    host: Child,
    container: String,
}

impl Mortal {
    fn launch(place: &Place, image: &str) -> Self {
        let mut host = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hosts::mortal_host", "--ignored", "--nocapture"])
            .env(SOCKETS, place.sockets.path())
            .env(IMAGE, image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(host.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let container = lines.find_map(|line| Some(line.strip_prefix("container ")?.to_owned())).unwrap();
        Self { host, container }
    }

    fn kill(&mut self) -> Instant {
        send(self.host.id(), Signal::KILL);
        self.host.wait().unwrap();
        Instant::now()
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.host.kill();
        let _ = self.host.wait();
    }
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_plugin_of_this_library_ends_after_its_host_and_the_next_host_removes_the_rest() {
    let place = Place::new();
    let mut mortal = Mortal::launch(&place, RUST);
    let pid = podman::pid(&mortal.container);
    let killed = mortal.kill();
    let process = PathBuf::from(format!("/proc/{pid}"));
    eventually("the plugin has ended", || !process.exists()).await;
    let lived = killed.elapsed();
    assert!(lived > Duration::from_secs(1), "it waits for the orphan timeout: {lived:?}");
    // The container stays, with its exit. Another host removes it, with the directory.
    let next = Place::new();
    let plugin = next.launch(&rust()).await.unwrap();
    rust().remove_orphans().await.unwrap();
    place.is_empty(&mortal.container).await;
    assert!(implementation(&plugin).await.contains("rpcplugin"), "its own container is not an orphan");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_plugin_in_go_is_removed_by_the_next_host() {
    if programs::peer("go", "kit-plugin").is_none() {
        return;
    }
    let place = Place::new();
    let mut mortal = Mortal::launch(&place, "localhost/rpcplugin-tests/kit-go:1");
    mortal.kill();
    assert!(podman::exists(&mortal.container));
    // The start of the next host removes orphans in the background. This process may have started one within the last minute.
    let removed = rust().remove_orphans().await.unwrap();
    assert!(removed.contains(&mortal.container) || !podman::exists(&mortal.container), "{removed:?}");
    place.is_empty(&mortal.container).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn containers_of_a_living_host_stay() {
    let place = Place::new();
    let mut mortal = Mortal::launch(&place, RUST);
    let removed = rust().remove_orphans().await.unwrap();
    assert!(!removed.contains(&mortal.container), "{removed:?}");
    assert!(podman::exists(&mortal.container) && !place.directories().is_empty());
    mortal.kill();
    rust().remove_orphans().await.unwrap();
    place.is_empty(&mortal.container).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_plugin_that_is_handed_over_runs_on() {
    let place = Place::new();
    let host = place.host(|config| {
        config.tls = HostTls::Plaintext;
        config.die_with_host = false;
    });
    let plugin = host.launch_with(&rust()).await.unwrap();
    let handover = plugin.hand_over().await.unwrap();
    let left = podman::output("ps --format {{.Names}} --filter name=rpcplugin-without-host");
    let container = left.lines().next().unwrap().to_owned();
    let removed = rust().remove_orphans().await.unwrap();
    assert!(!removed.contains(&container), "{removed:?}");
    let attached = host.attach(Handover::parse(&handover.to_json()).unwrap()).await.unwrap();
    assert!(implementation(&attached).await.contains("rpcplugin"));
    attached.shut_down().await;
    eventually("the container has ended", || !podman::output("ps --format {{.Names}}").contains(&container))
        .await;
    rust().remove_orphans().await.unwrap();
    assert!(!podman::exists(&container));
}
