//! Two versions of a protocol in one plugin, for old and new hosts.
//!
//! ```text
//! cargo run --example versions
//! ```
//!
//! A host lists the versions that it speaks, and the plugin serves the newest common version. Without a common version the
//! launch fails, and the error lists the versions of both sides.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve, Versions, error::PlainReport};
use tonic::{Request, Response, Status};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{English, v1, v2};

const COOKIE: (&str, &str) = ("VERSIONS_PLUGIN", "5d70-versions");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

/// The plugin: a service for each version. Only the negotiated version is served.
fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, v1::greeter_server::GreeterServer::new(English))
        .version(2, v2::greeter_server::GreeterServer::new(Polyglot))
        .main()
}

/// The service of the second version.
struct Polyglot;

#[tonic::async_trait]
impl v2::greeter_server::Greeter for Polyglot {
    async fn greet(&self, request: Request<v2::GreetRequest>) -> Result<Response<v2::GreetResponse>, Status> {
        let v2::GreetRequest { name, language } = request.into_inner();
        let greeting = match language.as_str() {
            "en" => format!("Hello, {name}!"),
            "fr" => format!("Bonjour, {name} !"),
            other => return Err(Status::invalid_argument(format!("no greetings in {other:?}"))),
        };
        Ok(Response::new(v2::GreetResponse { greeting }))
    }
}

/// Three hosts: an old one, a current one, and one that speaks neither version.
#[tokio::main]
async fn host() -> Result<ExitCode> {
    for versions in [vec![1], vec![1, 2], vec![3]] {
        let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, Versions::new(versions.clone())?);
        let plugin = match host.launch(Command::new(env::current_exe().into_diagnostic()?)).await {
            Ok(plugin) => plugin,
            Err(error) => {
                println!("a host of {versions:?}: {}", PlainReport(&error));
                continue;
            }
        };
        // The version decides which client to use. A host with one version does not have to ask.
        let name = "Ada".to_owned();
        let greeting = match plugin.version().0 {
            1 => {
                let mut greeter = v1::greeter_client::GreeterClient::new(plugin.channel());
                greeter.greet(v1::GreetRequest { name }).await.into_diagnostic()?.into_inner().greeting
            }
            _ => {
                let mut greeter = v2::greeter_client::GreeterClient::new(plugin.channel());
                let request = v2::GreetRequest { name, language: "fr".to_owned() };
                greeter.greet(request).await.into_diagnostic()?.into_inner().greeting
            }
        };
        println!("a host of {versions:?} uses version {}: {greeting}", plugin.version());
        plugin.shut_down().await;
    }
    Ok(ExitCode::SUCCESS)
}
