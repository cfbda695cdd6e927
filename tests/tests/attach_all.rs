//! A folder of sockets with real peers: gRPC servers in Go and Python that are not plugins of go-plugin, and a Rust plugin that
//! runs as a sidecar does.
//!
//! `cargo xtask interop` builds the servers. If one is missing, its test prints that and passes, unless `RPCPLUGIN_REQUIRE`
//! names its language.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use http::uri::PathAndQuery;
use rpcplugin::{
    Exit, Host, MagicCookie, PluginChannel,
    host::{FolderEvent, FolderPlugin, GoneReason, SocketFolder},
    plugin::ServingStatus,
};
use rpcplugin_tests::support::{
    TIMEOUT,
    process::is_alive,
    programs::{example, peer, python},
};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::Request;
use tonic_prost::ProstCodec;

const GREETER: &str = "rpcplugin.examples.greeter.v1.Greeter";

/// `GreetRequest` and `GreetResponse`, which have the same form.
#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

/// A server in a process of its own. Dropping it kills the process.
struct Server {
    process: Child,
    /// Its end ends the server.
    stdin: Option<ChildStdin>,
}

impl Server {
    /// Starts the server, and waits for its first line, which it prints when it has made its socket.
    fn start(command: &mut Command) -> Self {
        let mut process = command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the server did not start");
        Self { stdin: process.stdin.take(), process }
    }

    fn go(socket: &Path, flags: &[&str]) -> Option<Self> {
        let program = peer("go", "sidecar-server")?;
        Some(Self::start(Command::new(program).arg("--socket").arg(socket).args(flags)))
    }

    fn python(socket: &Path) -> Option<Self> {
        let [python, server] = python("sidecar_server.py")?;
        Some(Self::start(Command::new(python).arg(server).arg(socket)))
    }

    /// A plugin of this library, which prints nothing.
    fn rust(socket: &Path) -> Self {
        let mut command = Command::new(example("sidecars"));
        command.args(["serve", "Hello"]).env("PLUGIN_SERVER_UNIX_SOCKET_PATH", socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { process: command.spawn().unwrap(), stdin: None }
    }

    /// Ends the server in order, which removes its socket.
    fn end(&mut self) {
        drop(self.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }

    /// Kills the server, which leaves its socket.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::Builder::new().prefix("s").tempdir().unwrap();
    let socket = dir.path().join("greeter.sock");
    (dir, socket)
}

fn followed(dir: &TempDir) -> SocketFolder {
    let host = Host::new(MagicCookie::new("SIDECARS", "hello").unwrap(), 1);
    host.attach_all(dir.path()).unwrap()
}

/// The next event of a plugin.
async fn next(folder: &mut SocketFolder) -> FolderEvent {
    loop {
        match timeout(TIMEOUT, folder.next()).await.expect("an event comes").expect("the runtime runs") {
            FolderEvent::UpToDate => {}
            event => return event,
        }
    }
}

async fn added(folder: &mut SocketFolder) -> FolderPlugin {
    match next(folder).await {
        FolderEvent::Added(plugin) => *plugin,
        other => panic!("{other:?}"),
    }
}

async fn gone(folder: &mut SocketFolder) -> GoneReason {
    match next(folder).await {
        FolderEvent::Gone { name, reason, .. } if name == "greeter" => reason,
        other => panic!("{other:?}"),
    }
}

async fn greeting(channel: PluginChannel) -> String {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/rpcplugin.examples.greeter.v1.Greeter/Greet");
    let request = Request::new(Text { text: "Ada".to_owned() });
    let answer = client.unary(request, path, ProstCodec::<Text, Text>::default()).await.unwrap();
    answer.into_inner().text
}

/// A host that was asked to end its plugins leaves this one running.
async fn stays(plugin: FolderPlugin, server: &Server) {
    assert_eq!(plugin.plugin.shut_down().await, Exit::Detached);
    assert!(is_alive(server.process.id()), "the host ended the process");
}

#[tokio::test]
async fn a_go_server_without_reflection() {
    let (dir, socket) = folder();
    let Some(mut server) = Server::go(&socket, &[]) else { return };
    let mut folder = followed(&dir);
    let plugin = added(&mut folder).await;
    assert_eq!((plugin.name.as_str(), plugin.health), ("greeter", Some(ServingStatus::Serving)));
    assert_eq!(plugin.services, None);
    assert_eq!(plugin.plugin.pid().unwrap().get(), server.process.id());
    assert_eq!(greeting(plugin.plugin.channel()).await, "Hello from a Go sidecar, Ada!");
    stays(plugin, &server).await;
    server.end();
    assert_eq!(gone(&mut folder).await, GoneReason::SocketRemoved);
}

#[tokio::test]
async fn a_go_server_with_reflection_and_without_health() {
    let (dir, socket) = folder();
    let Some(server) = Server::go(&socket, &["--reflection", "--health=false"]) else { return };
    let plugin = added(&mut followed(&dir)).await;
    assert_eq!(plugin.health, None);
    let services = plugin.services.as_deref().unwrap();
    assert!(services.iter().any(|service| service == GREETER), "{services:?}");
    assert!(services.is_sorted(), "{services:?}");
    stays(plugin, &server).await;
}

#[tokio::test]
async fn a_python_server() {
    let (dir, socket) = folder();
    let Some(mut server) = Server::python(&socket) else { return };
    let mut folder = followed(&dir);
    let plugin = added(&mut folder).await;
    assert_eq!((plugin.health, plugin.services.clone()), (Some(ServingStatus::Serving), None));
    assert_eq!(greeting(plugin.plugin.channel()).await, "Hello from a Python sidecar, Ada!");
    server.kill();
    assert!(matches!(gone(&mut folder).await, GoneReason::Exited(_)));
    drop(plugin);
}

#[tokio::test]
async fn a_rust_plugin_as_a_sidecar() {
    let (dir, socket) = folder();
    let mut folder = followed(&dir);
    let server = Server::rust(&socket);
    let plugin = added(&mut folder).await;
    assert_eq!(plugin.health, Some(ServingStatus::Serving));
    let services = plugin.services.clone().unwrap();
    for service in [GREETER, "grpc.health.v1.Health", "plugin.GRPCBroker"] {
        assert!(services.iter().any(|served| served == service), "{service} is not in {services:?}");
    }
    assert_eq!(greeting(plugin.plugin.channel()).await, "Hello, Ada!");
    assert!(plugin.plugin.serves_broker());
    stays(plugin, &server).await;
}

#[tokio::test]
async fn a_socket_that_is_made_long_before_its_server_listens() {
    let (dir, socket) = folder();
    let ready = dir.path().join("ready");
    let flags = ["--bind-only", "--serving-file", ready.to_str().unwrap()];
    let Some(_server) = Server::go(&socket, &flags) else { return };
    let mut folder = followed(&dir);
    let event = next(&mut folder).await;
    assert!(matches!(event, FolderEvent::Failed { .. }), "{event:?}");
    fs::write(ready, "").unwrap();
    assert_eq!(added(&mut folder).await.name, "greeter");
}

#[tokio::test]
async fn a_server_that_warms_up() {
    let (dir, socket) = folder();
    let ready = dir.path().join("ready");
    let Some(_server) = Server::go(&socket, &["--serving-file", ready.to_str().unwrap()]) else { return };
    let mut folder = followed(&dir);
    let event = next(&mut folder).await;
    assert!(matches!(event, FolderEvent::Failed { .. }), "{event:?}");
    fs::write(ready, "").unwrap();
    assert_eq!(added(&mut folder).await.health, Some(ServingStatus::Serving));
}

#[tokio::test]
async fn servers_that_are_killed_and_started_again_at_once() {
    let (dir, socket) = folder();
    let Some(mut server) = Server::go(&socket, &["--reflection"]) else { return };
    let mut folder = followed(&dir);
    let mut plugin = added(&mut folder).await;
    for _ in 0..5 {
        server.kill();
        // As a platform does it, which starts the container with an empty volume or removes the file.
        fs::remove_file(&socket).unwrap();
        server = Server::go(&socket, &["--reflection"]).unwrap();
        gone(&mut folder).await;
        drop(plugin);
        plugin = added(&mut folder).await;
        assert_eq!(plugin.plugin.pid().unwrap().get(), server.process.id());
        assert_eq!(greeting(plugin.plugin.channel()).await, "Hello from a Go sidecar, Ada!");
    }
    // Nothing else happens afterwards: no plugin comes twice.
    let more = timeout(Duration::from_secs(2), folder.next()).await;
    assert!(more.is_err(), "{more:?}");
}
