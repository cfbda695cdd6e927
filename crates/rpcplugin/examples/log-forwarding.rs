//! Everything that a plugin says arrives at its host: log records, what it prints, and what its children print.
//!
//! ```text
//! cargo run --example log-forwarding
//! ```
//!
//! The plugin uses `tracing` and `println!` as any program does. Its events become events of the host, with their level
//! and their fields and with the plugin's name as their target, so that the host's own subscriber shows them; who wants them
//! otherwise gives the host an `Observer`, as here, or reads `Plugin::events` and `Plugin::output`.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a program for people to look at")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, LogRecord, MagicCookie, Observer, PluginId, Serve};
use tonic::{Request, Response, Status};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{GreetRequest, GreetResponse, Greeter, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("LOG_FORWARDING_PLUGIN", "42de-log-forwarding");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, GreeterServer::new(Talkative))
        .main()
}

/// A greeter that talks in every way there is.
struct Talkative;

#[tonic::async_trait]
impl Greeter for Talkative {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let name = &request.get_ref().name;
        tracing::warn!(guest = name, "somebody is at the door");
        println!("printed by the plugin");
        std::process::Command::new("/bin/sh").args(["-c", "echo printed by its child"]).status()?;
        Ok(Response::new(GreetResponse { greeting: format!("Hello, {name}!") }))
    }
}

/// Shows what it is told of.
struct Screen;

impl Observer for Screen {
    fn log(&self, record: &LogRecord) {
        let LogRecord { plugin, level, message, fields, .. } = record;
        println!("log of {}: {level} {message} {fields:?}", plugin.name);
    }

    fn stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        // The bytes may be cut anywhere. This is a plugin that prints whole lines.
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
    // Nothing that was printed before the end is lost.
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}
