//! A folder of sockets is followed. The plugins are servers in this process, so that the host cannot see their process.
#![cfg(unix)]

use std::{
    fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use miette::Diagnostic as _;
use rpcplugin_client::{
    AttachError, Exit, ExitReason, FolderError, FolderEvent, FolderPlugin, GoneReason, Host, SocketFolder,
};
use rpcplugin_config::{HostConfig, HostTls};
use rpcplugin_core::{AppVersion, MagicCookie, SocketPath, Versions};
use rpcplugin_mtls::{Identity, MutualTls, Trust};
use rpcplugin_transport::{Listener, Security, Services, http2};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, health_reporter},
};

/// The longest that anything may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    let cookie = MagicCookie::new("FOLDER", "of sockets").expect("a cookie");
    Host::new(cookie, Versions::new([1, 2]).expect("versions")).configure(change)
}

fn folder() -> TempDir {
    // A short path, which leaves room for the names of sockets.
    tempfile::Builder::new().prefix("f").tempdir().expect("a directory")
}

fn followed(dir: &TempDir) -> SocketFolder {
    host(|_| {}).attach_all(dir.path()).expect("the settings are valid")
}

/// A gRPC server with a health service. Dropping it removes its socket.
struct Server {
    task: AbortOnDropHandle<()>,
    health: HealthReporter,
}

fn server_at(path: &Path) -> Server {
    secured_at(path, Security::Plain)
}

fn secured_at(path: &Path, security: Security) -> Server {
    let listener = Listener::unix_at(&SocketPath::new(path).expect("it fits"), None).expect("bound");
    let (health, service) = health_reporter();
    let serving = http2::Serving::new(Services::new().add(service), security, CancellationToken::new());
    Server { task: AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving))), health }
}

impl Server {
    /// Ends the server, and waits until its socket is removed.
    async fn end(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn next(folder: &mut SocketFolder) -> FolderEvent {
    timeout(TIMEOUT, folder.next()).await.expect("an event comes").expect("the runtime runs")
}

/// The next event that is not [`FolderEvent::UpToDate`], which comes at a moment of its own.
async fn next_change(folder: &mut SocketFolder) -> FolderEvent {
    loop {
        match next(folder).await {
            FolderEvent::UpToDate => {}
            event => return event,
        }
    }
}

#[track_caller]
fn added(event: FolderEvent) -> FolderPlugin {
    match event {
        FolderEvent::Added(plugin) => *plugin,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn gone(event: &FolderEvent) -> (&str, &GoneReason) {
    match event {
        FolderEvent::Gone { name, reason, .. } => (name, reason),
        other => panic!("{other:?}"),
    }
}

/// The name of the plugin and the code of the error.
#[track_caller]
fn failed(event: &FolderEvent) -> (&str, String) {
    match event {
        FolderEvent::Failed { name, error, .. } => {
            assert!(error.help().is_some_and(|help| !help.to_string().is_empty()), "{error:?}");
            (name, error.code().expect("a code").to_string())
        }
        other => panic!("{other:?}"),
    }
}

/// A socket without a listener, as a process that was killed leaves it.
fn stale(path: &Path) {
    drop(UnixListener::bind(path).expect("bound"));
}

const NO_LISTENER: &str = "rpcplugin::transport::folder_no_listener";

#[tokio::test]
async fn plugins_are_added_and_other_files_are_ignored() {
    let dir = folder();
    fs::write(dir.path().join("notes.txt"), "not a socket").expect("written");
    fs::create_dir(dir.path().join("kv.sock.d")).expect("made");
    stale(&dir.path().join("old.sock"));
    let server = server_at(&dir.path().join("kv.v1.sock"));
    let mut folder = followed(&dir);
    assert_eq!(folder.path(), dir.path());

    let (mut plugin, mut stale_code) = (None, None);
    loop {
        match next(&mut folder).await {
            FolderEvent::Added(added) => plugin = Some(*added),
            FolderEvent::UpToDate => break,
            event => stale_code = Some(failed(&event).1),
        }
    }
    let plugin = plugin.expect("the server is added before the folder is up to date");
    assert_eq!(stale_code.expect("reported before the folder is up to date"), NO_LISTENER);
    assert_eq!((plugin.name.as_str(), plugin.plugin.name()), ("kv.v1", "kv.v1"));
    assert_eq!(plugin.path, dir.path().join("kv.v1.sock"));
    assert_eq!((plugin.health, plugin.services), (Some(ServingStatus::Serving), None));
    assert_eq!(plugin.plugin.version(), AppVersion(2), "the newest version of the host");
    assert!(!plugin.plugin.security().is_mutual());
    assert!(dir.path().join("old.sock").exists(), "files in the folder are not the host's to remove");

    // The plugin belongs to the program that started it.
    let pinging = plugin.plugin.ping().await.expect_err("it has no status of this name");
    assert_eq!(pinging.code().expect("a code").to_string(), "rpcplugin::protocol::no_health");
    assert_eq!(plugin.plugin.shut_down().await, Exit::Detached);
    server.end().await;
    assert_eq!(gone(&next_change(&mut folder).await), ("kv.v1", &GoneReason::SocketRemoved));
}

#[tokio::test]
async fn a_missing_folder_is_waited_for_and_may_go_and_come_back() {
    let parent = folder();
    let dir = parent.path().join("plugins");
    let mut folder = host(|_| {}).attach_all(&dir).expect("the settings are valid");
    assert!(matches!(next(&mut folder).await, FolderEvent::UpToDate));
    for _ in 0..2 {
        fs::create_dir(&dir).expect("made");
        let server = server_at(&dir.join("kv.sock"));
        let plugin = added(next(&mut folder).await);
        // The process lives on without its socket.
        fs::remove_dir_all(&dir).expect("ours");
        assert_eq!(gone(&next(&mut folder).await), ("kv", &GoneReason::SocketRemoved));
        drop(plugin);
        server.end().await;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_is_reported_once() {
    let dir = folder();
    let path = dir.path().join("plugins");
    fs::write(&path, "not a folder").expect("written");
    let mut folder = host(|_| {}).attach_all(&path).expect("the settings are valid");
    let FolderEvent::Unreadable(error) = next(&mut folder).await else { panic!("it cannot be read") };
    assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::transport::folder_unreadable");
    fs::remove_file(&path).expect("ours");
    fs::create_dir(&path).expect("made");
    let _server = server_at(&path.join("kv.sock"));
    assert_eq!(added(next_change(&mut folder).await).name, "kv");
}

#[tokio::test]
async fn a_socket_that_is_made_before_its_process_listens_is_attached_to_later() {
    let dir = folder();
    let path = dir.path().join("kv.sock");
    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None)
        .expect("a socket");
    rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(&path).expect("it fits")).expect("bound");
    let mut folder = followed(&dir);
    let event = next(&mut folder).await;
    assert_eq!(failed(&event), ("kv", NO_LISTENER.to_owned()));
    assert!(matches!(next(&mut folder).await, FolderEvent::UpToDate));
    assert!(path.exists(), "the socket of a process that starts was removed");

    rustix::net::listen(&socket, 16).expect("listening");
    let listener = UnixListener::from(socket);
    let (health, service) = health_reporter();
    drop(health);
    let serving =
        http2::Serving::new(Services::new().add(service), Security::Plain, CancellationToken::new());
    let accepted = accepting(listener);
    let _serving = AbortOnDropHandle::new(tokio::spawn(http2::serve(accepted, serving)));
    assert_eq!(added(next(&mut folder).await).name, "kv");
}

/// The connections of a listener of the standard library.
fn accepting(listener: UnixListener) -> Accepting {
    listener.set_nonblocking(true).expect("ours");
    Accepting(tokio::net::UnixListener::from_std(listener).expect("a runtime"))
}

struct Accepting(tokio::net::UnixListener);

impl rpcplugin_transport::Listen for Accepting {
    async fn accept(&mut self) -> Option<rpcplugin_transport::Stream> {
        Some(rpcplugin_transport::Stream::Unix(self.0.accept().await.ok()?.0))
    }
}

#[tokio::test]
async fn a_server_is_added_when_it_serves() {
    let dir = folder();
    let server = server_at(&dir.path().join("kv.sock"));
    server.health.set_service_status("", ServingStatus::NotServing).await;
    let mut folder = followed(&dir);
    let event = next(&mut folder).await;
    let FolderEvent::Failed { error: FolderError::Attach(AttachError::Refused { source, .. }), .. } = &event
    else {
        panic!("{event:?}")
    };
    assert_eq!(source.code().expect("a code").to_string(), "rpcplugin::protocol::not_healthy");
    server.health.set_service_status("", ServingStatus::Serving).await;
    assert_eq!(added(next_change(&mut folder).await).health, Some(ServingStatus::Serving));
}

#[tokio::test]
async fn a_restart_on_the_same_path_is_noticed() {
    let dir = folder();
    let path = dir.path().join("kv.sock");
    let mut folder = followed(&dir);
    let mut server = server_at(&path);
    let mut plugin = added(next_change(&mut folder).await);
    for _ in 0..3 {
        server.end().await;
        server = server_at(&path);
        let event = next_change(&mut folder).await;
        let (name, reason) = gone(&event);
        // The restart may be seen as a whole, or only its first half.
        assert_eq!(name, "kv");
        assert!(
            matches!(reason, GoneReason::SocketReplaced | GoneReason::SocketRemoved | GoneReason::Exited(_)),
            "{reason}"
        );
        drop(plugin);
        plugin = added(next_change(&mut folder).await);
    }
}

#[tokio::test]
async fn a_process_that_no_longer_listens_is_gone_and_its_socket_stays() {
    let dir = folder();
    let path = dir.path().join("kv.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let (_health, service) = health_reporter();
    let serving =
        http2::Serving::new(Services::new().add(service), Security::Plain, CancellationToken::new());
    let serving = AbortOnDropHandle::new(tokio::spawn(http2::serve(accepting(listener), serving)));
    let mut folder = followed(&dir);
    let plugin = added(next_change(&mut folder).await);
    serving.abort();
    assert_eq!(gone(&next_change(&mut folder).await), ("kv", &GoneReason::Exited(ExitReason::Unknown)));
    assert_eq!(plugin.plugin.wait().await, ExitReason::Unknown);
    let event = next_change(&mut folder).await;
    assert_eq!(failed(&event), ("kv", NO_LISTENER.to_owned()));
    assert!(path.exists(), "the socket was removed");
}

#[tokio::test]
async fn a_socket_that_is_renamed_when_it_is_ready_is_never_seen_before() {
    let dir = folder();
    let inside = |name: &str| dir.path().join(name);
    let mut folder = followed(&dir);
    assert!(matches!(next(&mut folder).await, FolderEvent::UpToDate));
    let _server = server_at(&inside(".kv.sock"));
    let _other = server_at(&inside("other.sock"));
    let _kept = added(next_change(&mut folder).await);
    assert_eq!(_kept.name, "other", "a name that begins with a dot is hidden");
    fs::rename(inside(".kv.sock"), inside("kv.sock")).expect("ours");
    let first = added(next_change(&mut folder).await);
    assert_eq!(first.name, "kv");
    fs::rename(inside("kv.sock"), inside("kv2.sock")).expect("ours");
    assert_eq!(gone(&next_change(&mut folder).await), ("kv", &GoneReason::SocketRemoved));
    assert_eq!(added(next_change(&mut folder).await).name, "kv2");
}

#[tokio::test]
async fn thousands_of_files_and_silent_sockets_delay_no_plugin() {
    let dir = folder();
    for number in 0..5000 {
        fs::write(dir.path().join(format!("{number}.txt")), "").expect("written");
    }
    for number in 0..200 {
        stale(&dir.path().join(format!("stale{number}.sock")));
    }
    // Accepts, and never answers.
    let _silent: Vec<_> =
        (0..8).map(|n| UnixListener::bind(dir.path().join(format!("a{n}.sock"))).expect("bound")).collect();
    let _server = server_at(&dir.path().join("z.sock"));
    let mut folder = followed(&dir);
    let begun = Instant::now();
    let mut stale = 0;
    let mut plugin = None;
    while stale < 200 || plugin.is_none() {
        match next_change(&mut folder).await {
            FolderEvent::Added(added) => plugin = Some(added),
            event => {
                assert_eq!(failed(&event).1, NO_LISTENER);
                stale += 1;
            }
        }
    }
    // A silent socket takes as long as the launch timeout.
    assert!(begun.elapsed() < HostConfig::default().launch_timeout, "{:?}", begun.elapsed());
    assert_eq!(plugin.expect("added").name, "z");
}

#[tokio::test]
async fn a_long_path_is_an_error_of_its_own() {
    let dir = folder();
    let deep = dir.path().join("x".repeat(90));
    fs::create_dir(&deep).expect("made");
    let _listener = {
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).expect("bound");
        fs::rename(path, deep.join("a-name-that-is-too-long.sock")).expect("ours");
        listener
    };
    let mut folder = host(|_| {}).attach_all(&deep).expect("the settings are valid");
    let event = next_change(&mut folder).await;
    assert_eq!(
        failed(&event),
        ("a-name-that-is-too-long", "rpcplugin::transport::folder_address".to_owned())
    );
}

#[tokio::test]
async fn plugins_with_certificates_are_attached_to_where_the_host_has_its_own() {
    let dir = folder();
    let [ours, plugins] = [(); 2].map(|()| Identity::generate().expect("made"));
    let trust = Trust::Pinned(ours.peer_certificate());
    let security = Security::Mutual(MutualTls::new(plugins.clone(), trust).expect("settings"));
    let _server = secured_at(&dir.path().join("kv.sock"), security);
    let mut plain = followed(&dir);
    let event = next(&mut plain).await;
    assert_eq!(failed(&event).1, "rpcplugin::transport::attach_refused");

    let trust = Trust::Pinned(plugins.peer_certificate());
    let prepare = move |path: &Path, attachment: rpcplugin_client::Attachment| {
        assert!(path.ends_with("kv.sock"));
        attachment.secured(ours.clone(), trust.clone()).ok()
    };
    let mut secured = host(|_| {}).attach_all_with(dir.path(), prepare).expect("the settings are valid");
    let plugin = added(next_change(&mut secured).await);
    assert!(plugin.plugin.security().is_mutual());
}

#[tokio::test]
async fn a_socket_that_the_host_does_not_want_is_left_alone() {
    let dir = folder();
    let _server = server_at(&dir.path().join("kv.sock"));
    let none = host(|_| {}).attach_all_with(dir.path(), |_, _| None);
    assert!(matches!(next(&mut none.expect("the settings are valid")).await, FolderEvent::UpToDate));
}

#[tokio::test]
async fn settings_with_which_no_plugin_can_be_attached_to_are_refused_at_once() {
    let dir = folder();
    let multiplexed = host(|config| config.multiplex = true).attach_all(dir.path());
    assert!(matches!(multiplexed, Err(AttachError::Multiplexed)), "{multiplexed:?}");
    let plain = host(|config| config.tls = HostTls::Plaintext).attach_all(dir.path());
    assert!(plain.is_ok());
}

#[tokio::test]
async fn dropping_the_folder_ends_the_following_and_no_plugin() {
    let dir = folder();
    let path = dir.path().join("kv.sock");
    let _server = server_at(&path);
    let mut folder = followed(&dir);
    let plugin = added(next_change(&mut folder).await);
    drop(folder);
    // The plugin does not depend on the folder.
    let mut health = tonic_health::pb::health_client::HealthClient::new(plugin.plugin.channel());
    let asked = tonic_health::pb::HealthCheckRequest { service: String::new() };
    health.check(asked).await.expect("the plugin answers");
    drop(plugin);
    assert!(UnixListener::bind(&path).is_err(), "the socket is still there");
    let mut again: SocketFolder = followed(&dir);
    assert_eq!(added(next_change(&mut again).await).name, "kv");
}

#[tokio::test]
async fn a_plugin_that_the_host_drops_is_not_attached_to_again() {
    let dir = folder();
    let paths: Vec<PathBuf> = ["a.sock", "b.sock"].iter().map(|name| dir.path().join(name)).collect();
    let first = server_at(&paths[0]);
    let mut folder = followed(&dir);
    drop(added(next_change(&mut folder).await));
    let _second = server_at(&paths[1]);
    assert_eq!(added(next_change(&mut folder).await).name, "b", "the dropped plugin came back");
    first.end().await;
    assert_eq!(gone(&next_change(&mut folder).await), ("a", &GoneReason::SocketRemoved));
}
