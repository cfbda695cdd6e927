//! Supervision: a plugin whose process dies is launched again.
//!
//! ```text
//! cargo run --example supervise
//! ```
//!
//! The channel stays the same and leads to the current process. Calls during a restart wait. A call in flight fails, and its
//! error says how the process ended: only the host can know whether the call may be repeated. The pauses between restarts
//! grow. When the budget of restarts is used up, the plugin is given up.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{convert::Infallible, env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve};
use tonic::{Request, Response, Status};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{GreetRequest, GreetResponse, Greeter, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("SUPERVISE_PLUGIN", "a3f9-supervise");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, GreeterServer::new(Fragile))
        .main()
}

/// A greeter with a fault that no handler can catch.
struct Fragile;

#[tonic::async_trait]
impl Greeter for Fragile {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        match request.get_ref().name.as_str() {
            "Medusa" => std::process::abort(),
            name => Ok(Response::new(GreetResponse { greeting: format!("Hello, {name}!") })),
        }
    }
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    let plugin = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1)
        .configure(|config| config.supervision.max_restarts = 3)
        .supervise(Command::new(env::current_exe().into_diagnostic()?))
        // A new process has no state of its predecessor. The host can set it up here.
        .on_start(async |generation| {
            println!("generation {} is ready", generation.number());
            Ok::<(), Infallible>(())
        })
        .await?;

    let mut greeter = GreeterClient::new(plugin.channel());
    for name in ["Ada", "Medusa", "Grace"] {
        match greeter.greet(named(name)).await {
            Ok(answer) => println!("{}", answer.into_inner().greeting),
            Err(status) => println!("{name}: {}", status.message()),
        }
    }
    // A requested restart, for example for a new configuration, does not use up the budget.
    println!("restarted: {}", plugin.restart().await);
    println!("{}", greeter.greet(named("Barbara")).await.into_diagnostic()?.into_inner().greeting);
    if let Some(exit) = plugin.shut_down().await {
        println!("the plugin {exit}");
    }
    Ok(ExitCode::SUCCESS)
}
