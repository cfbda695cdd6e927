//! The host receives all output of a plugin: log records, its own prints, and those of its child processes.
//!
//! ```text
//! cargo run --example log-forwarding
//! ```
//!
//! The plugin uses `tracing` and `println!` as any program does. Its events become events of the host, with their level and
//! their fields and with the plugin's name as their target, so that the host's own subscriber shows them. An `Observer`, as
//! here, receives them directly. `Plugin::events` and `Plugin::output` are streams of the same.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{
    Command, Host, MagicCookie, Serve,
    host::{LogRecord, Observer, PluginId},
};
use tonic::{Request, Response, Status};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{GreetRequest, GreetResponse, Greeter, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("LOG_FORWARDING_PLUGIN", "42de-log-forwarding");

fn main() -> Result<ExitCode> {
    if env::args().nth(1).is_some() {
        println!("printed by its child");
        return Ok(ExitCode::SUCCESS);
    }
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, GreeterServer::new(Talkative))
        .main()
}

/// A greeter that logs and prints.
struct Talkative;

#[tonic::async_trait]
impl Greeter for Talkative {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let name = &request.get_ref().name;
        tracing::warn!(guest = name, "a guest is at the door");
        println!("printed by the plugin");
        std::process::Command::new(env::current_exe()?).arg("child").status()?;
        Ok(Response::new(GreetResponse { greeting: format!("Hello, {name}!") }))
    }
}

/// Prints what it receives.
struct Screen;

impl Observer for Screen {
    fn log(&self, record: &LogRecord) {
        let LogRecord { plugin, level, message, fields, .. } = record;
        println!("log of {}: {level} {message} {fields:?}", plugin.name);
    }

    fn stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        // The bytes can end within a line. This plugin prints whole lines.
        for line in String::from_utf8_lossy(bytes).lines() {
            println!("stdout of {}: {line}", plugin.name);
        }
    }
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1).observe(Screen);
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
    let mut greeter = GreeterClient::new(plugin.channel());
    println!("{}", greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting);
    // All output before the end of the plugin is received.
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}
