//! A custom runner: it starts plugins through a shell that limits their open files.
//!
//! ```text
//! cargo run --example custom-runner
//! ```
//!
//! A `Runner` starts plugins in a sandbox, in a container or on another machine. The rest of the library works as before.
//! This runner changes the command and uses the runner for ordinary processes. A runner for another machine also implements
//! `PluginProcess`, and translates addresses if the plugin sees other files or networks. The shell is that of a Unix system.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, path::PathBuf, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{
    Command, Host, MagicCookie, Serve,
    host::{ChildProcess, LaunchEnvironment, LaunchFault, Runner, StartedProcess},
};
use tonic::{Request, Response, Status};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{GreetRequest, GreetResponse, Greeter, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("CUSTOM_RUNNER_PLUGIN", "e6b5-custom-runner");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

/// Starts a program with a limit on its open files.
struct Limited {
    program: PathBuf,
    open_files: u32,
}

impl Runner for Limited {
    type Process = ChildProcess;

    fn program(&self) -> PathBuf {
        self.program.clone()
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        // `exec` replaces the shell with the plugin, so that the host watches the plugin itself.
        let script = r#"ulimit -n "$0" && exec "$@""#;
        let shell = Command::new("/bin/sh").args(["-c", script]).arg(self.open_files.to_string());
        shell.arg(&self.program).start(environment).await
    }

    async fn diagnose(&self, _: &LaunchFault) -> Option<String> {
        Some(format!("it was allowed to have {} files open", self.open_files))
    }
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    let program = env::current_exe().into_diagnostic()?;
    let runner = Limited { program, open_files: 123 };
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    let plugin = host.launch_with(&runner).await?;
    let mut greeter = GreeterClient::new(plugin.channel());
    println!("{}", greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting);
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}

fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, GreeterServer::new(Confined))
        .main()
}

/// A greeter that prints its limit of open files.
struct Confined;

#[tonic::async_trait]
impl Greeter for Confined {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let asked = std::process::Command::new("/bin/sh").args(["-c", "ulimit -n"]).output()?;
        let limit = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        let greeting = format!("Hello, {}! I may open {limit} files.", request.get_ref().name);
        Ok(Response::new(GreetResponse { greeting }))
    }
}
