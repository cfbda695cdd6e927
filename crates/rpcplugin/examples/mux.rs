//! Multiplexing: a plugin calls its host over the main connection or over a connection of its own.
//!
//! ```text
//! cargo run --example mux
//! ```
//!
//! Without multiplexing, each brokered connection has a socket of its own. With it, all brokered connections are streams of
//! the main connection, as a firewall or a forwarded port requires. The code of both sides is the same. Only the host's
//! configuration differs.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, path::Path, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Endpoint, Host, MagicCookie, PluginChannel, Serve, Services};
use tonic::{Request, Response, Status};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{English, GreetRequest, GreetResponse, Greeter, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("MUX_PLUGIN", "c1aa-mux");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

/// The plugin: asks its host for each greeting.
fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version_with(1, |context| {
            let how = if context.host.multiplexed { "one connection" } else { "a connection of its own" };
            Services::new()
                .add(GreeterServer::new(Asking { host: GreeterClient::new(context.host_channel()), how }))
        })
        .main()
}

struct Asking {
    host: GreeterClient<PluginChannel>,
    how: &'static str,
}

#[tonic::async_trait]
impl Greeter for Asking {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let GreetResponse { greeting } = self.host.clone().greet(request.into_inner()).await?.into_inner();
        Ok(Response::new(GreetResponse { greeting: format!("{greeting} (asked over {})", self.how) }))
    }
}

/// The host: launches the plugin in both ways, and counts the sockets.
#[tokio::main]
async fn host() -> Result<ExitCode> {
    for multiplex in [false, true] {
        let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1)
            .callbacks(Services::new().add(GreeterServer::new(English)))
            .configure(|config| config.multiplex = multiplex);
        let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
        let mut greeter = GreeterClient::new(plugin.channel());
        println!("{}", greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting);
        // All sockets of a plugin, its own and those of the broker, are in one private directory. A plugin that multiplexes
        // removes its socket when the host has connected. On Windows the sockets are ports, which are in no directory.
        if let Endpoint::Unix(path) = plugin.endpoint() {
            println!("sockets to connect to: {}", path.as_path().parent().map_or(Ok(0), count)?);
        }
        plugin.shut_down().await;
    }
    Ok(ExitCode::SUCCESS)
}

fn count(directory: &Path) -> Result<usize> {
    let entries = std::fs::read_dir(directory).into_diagnostic()?.flatten();
    // The directory also has links, which record the processes that it belongs to.
    Ok(entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink())).count())
}
