//! Plugins that other programs start, in a folder of sockets: sidecars in a pod, or services of a machine.
//!
//! ```text
//! cargo run --example sidecars                        # starts two processes in place of two containers
//! PLUGIN_SERVER_UNIX_SOCKET_PATH=/run/plugins/english.sock \
//!     cargo run --example sidecars -- serve English   # as a container would run it
//! ```
//!
//! The host has no list of plugins. It attaches to every socket in the folder, and learns of plugins that come and go.
#![expect(clippy::print_stdout, reason = "the program prints for people")]

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{
    Host, MagicCookie, Plugin, Serve,
    config::Loader,
    host::{FolderEvent, SocketFolder},
};
use tonic::{Request, Response, Status};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{GreetRequest, GreetResponse, Greeter, GreeterClient, GreeterServer, named};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", greeting] => plugin(greeting).await,
        _ => host().await,
    }
}

/// The plugin: the path of its socket is in its environment.
async fn plugin(greeting: &str) -> Result<()> {
    let greeter = GreeterServer::new(Greeting(greeting.to_owned()));
    let plugin = Serve::new(MagicCookie::new("SIDECARS", "hello")?)
        .load_config(&Loader::new().process_env())
        .version(1, greeter)
        .attachable()
        .await?;
    plugin.serve().await?;
    Ok(())
}

#[derive(Debug)]
struct Greeting(String);

#[tonic::async_trait]
impl Greeter for Greeting {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        Ok(Response::new(GreetResponse { greeting: format!("{}, {}!", self.0, request.get_ref().name) }))
    }
}

/// Follows the folder until the first plugin is gone.
async fn follow(mut folder: SocketFolder, containers: &mut Containers) -> Result<()> {
    let mut plugins: BTreeMap<PathBuf, Plugin> = BTreeMap::new();
    while let Some(event) = folder.next().await {
        match event {
            FolderEvent::Added(added) => {
                let services = added.services.unwrap_or_default();
                let greets = services.iter().any(|service| service == GREETER);
                println!("{} is there, and serves {GREETER}: {greets}", added.name);
                let mut greeter = GreeterClient::new(added.plugin.channel());
                println!("{}", greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting);
                plugins.insert(added.path, added.plugin);
                containers.go_on()?;
            }
            FolderEvent::Gone { name, path, reason } => {
                println!("{name} is gone: {reason}");
                plugins.remove(&path);
            }
            FolderEvent::Failed { name, error, .. } => {
                println!("{name}: {error}");
                break;
            }
            _ => {}
        }
    }
    // Dropping the folder and the plugins leaves the processes running.
    Ok(())
}

async fn host() -> Result<()> {
    // In place of a volume that containers share.
    let dir = env::temp_dir().join(format!("sidecars-{}", std::process::id()));
    std::fs::create_dir(&dir).into_diagnostic()?;
    let outcome = run(&dir).await;
    std::fs::remove_dir_all(&dir).into_diagnostic()?;
    outcome
}

async fn run(dir: &Path) -> Result<()> {
    let host = Host::new(MagicCookie::new("SIDECARS", "hello")?, 1);
    let folder = host.attach_all(dir)?;
    let mut containers = Containers { dir: dir.to_owned(), started: Vec::new() };
    containers.go_on()?;
    follow(folder, &mut containers).await
}

/// What happens to the containers, step by step: two are started, and the first is killed.
struct Containers {
    dir: PathBuf,
    started: Vec<Container>,
}

impl Containers {
    fn go_on(&mut self) -> Result<()> {
        match &mut self.started[..] {
            [] => self.started.push(Container::start(&self.dir.join("english.sock"), "Hello")?),
            [_] => self.started.push(Container::start(&self.dir.join("french.sock"), "Bonjour")?),
            [english, ..] => english.kill()?,
        }
        Ok(())
    }
}

/// A process in place of a container.
struct Container(Child);

impl Container {
    fn start(socket: &Path, greeting: &str) -> Result<Self> {
        let mut command = Command::new(env::current_exe().into_diagnostic()?);
        command.args(["serve", greeting]).env("PLUGIN_SERVER_UNIX_SOCKET_PATH", socket);
        // The records of its log, which its platform would collect.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().into_diagnostic()?))
    }

    /// Kills the process, which leaves its socket behind.
    fn kill(&mut self) -> Result<()> {
        self.0.kill().into_diagnostic()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const GREETER: &str = "rpcplugin.examples.greeter.v1.Greeter";
