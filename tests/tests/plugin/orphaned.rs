//! Plugins to which no host is connected, with an orphan timeout.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rpcplugin::{Host, MagicCookie, broker::ServiceId, config::HostTls, host::Attachment};
use rpcplugin_tests::support::{
    process::{is_alive, send},
    programs::{self, peer},
    wait::eventually,
};
use rustix::process::Signal;
use tokio::{net::UnixStream, time::sleep};

use crate::subject::{Running, Start, ended, entries, greet, host_broker, subject};

/// The conformance plugin that reads its environment.
const KIT_PLUGIN: &str = env!("CARGO_BIN_EXE_settings-plugin");

/// A plugin that does not watch its parent, as in a container, and serves this long without a host.
fn orphan(timeout: &str) -> Start {
    subject().env("PLUGIN_EXIT_WITH_HOST", "false").env("PLUGIN_ORPHAN_TIMEOUT", timeout)
}

/// The plugin shuts down in order, reports why, and leaves nothing.
async fn ends_as_an_orphan(mut plugin: Running) {
    plugin.ended().await;
    let log = plugin.all_stderr();
    assert!(log.contains("no host has been connected for the orphan timeout"), "{log}");
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn a_plugin_to_which_no_host_connects_ends() {
    for multiplex in ["", "true"] {
        let begun = Instant::now();
        let plugin = orphan("300ms").env("PLUGIN_MULTIPLEX_GRPC", multiplex).start();
        ends_as_an_orphan(plugin).await;
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn hosts_keep_it_and_the_time_begins_when_the_last_one_leaves() {
    let plugin = orphan("300ms").start();
    let (first, second) = (plugin.channel().await, plugin.channel().await);
    assert_eq!(greet(first.clone(), "sleep 1000").await.expect("a call in flight goes on"), "slept");
    // An idle host counts too.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(greet(second, "second").await.unwrap(), "hello second");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(greet(first.clone(), "first").await.unwrap(), "hello first");
    let left = Instant::now();
    drop(first);
    ends_as_an_orphan(plugin).await;
    assert!(left.elapsed() >= Duration::from_millis(300), "{:?}", left.elapsed());
}

#[tokio::test]
async fn brokered_services_work_beyond_the_time_and_do_not_outlive_the_host() {
    let plugin = orphan("300ms").start();
    let channel = plugin.channel().await;
    let broker = host_broker(&channel);
    let id = greet(channel.clone(), "serve").await.unwrap().parse().unwrap();
    sleep(Duration::from_secs(1)).await;
    let brokered = broker.dial(ServiceId(id)).await.unwrap();
    assert_eq!(greet(brokered.clone(), "sleep 1000").await.unwrap(), "slept");
    drop((channel, broker, brokered));
    ends_as_an_orphan(plugin).await;
}

#[tokio::test]
async fn a_host_that_attaches_counts() {
    let plugin = orphan("500ms").start();
    let cookie = MagicCookie::new("PLUGIN_SUBJECT", "yes").unwrap();
    let host = Host::new(cookie, 1).configure(|config| config.tls = HostTls::Plaintext);
    let attached = host.attach(Attachment::new(plugin.endpoint(), 1)).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    attached.ping().await.unwrap();
    drop(attached);
    ends_as_an_orphan(plugin).await;
}

#[tokio::test]
async fn a_host_that_multiplexes_or_uses_tls_counts() {
    let cookie = || MagicCookie::new("PLUGIN_SUBJECT", "yes").unwrap();
    for multiplex in [false, true] {
        let host = Host::new(cookie(), 1).configure(|config| config.multiplex = multiplex);
        let command = rpcplugin::Command::new(env!("CARGO_BIN_EXE_plugin-subject"))
            .env("PLUGIN_ORPHAN_TIMEOUT", "500ms");
        let plugin = host.launch(command).await.unwrap();
        sleep(Duration::from_secs(2)).await;
        plugin.ping().await.unwrap();
        assert_eq!(plugin.shut_down().await, rpcplugin::Exit::Clean);
    }
}

#[tokio::test]
async fn probes_that_only_connect_are_no_hosts() {
    let plugin = orphan("1s").start();
    let socket = plugin.socket();
    let probing = tokio::spawn(async move {
        // Some hang up at once, and some stay.
        let mut held = Vec::new();
        while let Ok(stream) = UnixStream::connect(&socket).await {
            drop(UnixStream::connect(&socket).await);
            held.push(stream);
            sleep(Duration::from_millis(100)).await;
        }
        held.len()
    });
    ends_as_an_orphan(plugin).await;
    assert!(probing.await.unwrap() > 5, "the plugin was probed until its end");
}

#[tokio::test]
async fn a_plugin_in_test_mode_ends_too() {
    let start = orphan("300ms").arg("--attachable");
    let mut child = start.command().stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    assert_eq!(ended(&mut child).await.code(), Some(0));
}

#[tokio::test]
async fn without_a_valid_time_it_serves_on() {
    for (value, is_reported) in [("0", false), ("", false), ("soon", true)] {
        let plugin = orphan(value).start();
        sleep(Duration::from_millis(300)).await;
        assert_eq!(plugin.run("x").await, "hello x");
        let log = plugin.stderr();
        assert_eq!(log.contains("PLUGIN_ORPHAN_TIMEOUT"), is_reported, "{value}: {log}");
    }
}

/// The system asks a host on another machine whether it is still there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_silent_machine_is_noticed() {
    for (timeout, is_asked) in [("60s", true), ("0", false)] {
        let plugin = orphan(timeout).env("PLUGIN_SERVER_TRANSPORTS", "tcp").start();
        let rpcplugin::Endpoint::Tcp(address) = plugin.endpoint() else { panic!("a TCP port") };
        let channel = plugin.channel().await;
        assert_eq!(greet(channel.clone(), "x").await.unwrap(), "hello x");
        // The plugin's end of the connection: its own port, established, and which timer runs.
        let port = format!(":{:04X}", address.port());
        let timers = || {
            let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let own = fields.filter(|fields| fields[1].ends_with(&port) && fields[3] == "01");
            own.map(|fields| fields[5].starts_with("02:")).collect::<Vec<_>>()
        };
        // For a moment after a response another timer runs.
        eventually("the timer of keepalive runs, or none", || timers() == [is_asked]).await;
        drop(channel);
    }
}

/// A host in another language that holds a plugin, and its output.
fn holding(mut host: Command) -> (std::process::Child, serde_json::Value) {
    use std::io::BufRead as _;

    let mut host = host.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (host, serde_json::from_str(&line).unwrap())
}

/// Kills the host. Its plugin, which does not notice that, ends by itself when the time is over.
async fn the_plugin_outlives_its_host_by_the_time(mut host: Command) {
    let tmp = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    host.args(["--", KIT_PLUGIN])
        .env("TMPDIR", tmp.path())
        .env("PLUGIN_EXIT_WITH_HOST", "false")
        .env("PLUGIN_ORPHAN_TIMEOUT", "1s");
    let (mut host, held) = holding(host);
    let plugin = u32::try_from(held["pid"].as_u64().unwrap()).unwrap();
    sleep(Duration::from_secs(2)).await;
    assert!(is_alive(plugin), "its host is connected");
    send(host.id(), Signal::KILL);
    let died = Instant::now();
    ended(&mut host).await;
    assert!(is_alive(plugin), "it does not notice the exit of its host");
    eventually("the plugin is gone", || !is_alive(plugin)).await;
    assert!(died.elapsed() >= Duration::from_secs(1), "{:?}", died.elapsed());
    let left: Vec<PathBuf> = entries(tmp.path());
    assert!(left.is_empty(), "{left:?} is left");
}

#[tokio::test]
async fn a_killed_host_in_go_leaves_no_plugin() {
    for flags in [&["hold"][..], &["hold", "--auto-mtls"]] {
        let Some(program) = peer("go", "kit-host") else { return };
        let mut host = Command::new(program);
        host.args(flags);
        the_plugin_outlives_its_host_by_the_time(host).await;
    }
}

#[tokio::test]
async fn a_killed_host_in_python_leaves_no_plugin() {
    let Some([python, script]) = programs::python("kit_host.py") else { return };
    let mut host = Command::new(python);
    host.arg(script).args(["hold", "--auto-mtls"]).env("PYTHONDONTWRITEBYTECODE", "1");
    the_plugin_outlives_its_host_by_the_time(host).await;
}
