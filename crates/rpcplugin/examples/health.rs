//! Health: a service that needs time to start, and a host that watches its status.
//!
//! ```text
//! cargo run --example health
//! ```
//!
//! Every plugin serves `grpc.health.v1.Health`, for the plugin as a whole and for each of its services. A launch succeeds when
//! the plugin as a whole is SERVING. The plugin can change each status at any time. When it begins to shut down, all become
//! NOT_SERVING.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve, Services, plugin::ServingStatus};
use tonic::{Streaming, server::NamedService};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{English, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("HEALTH_PLUGIN", "b8d1-health");
const GREETER: &str = GreeterServer::<English>::NAME;

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

/// The plugin: is ready at once, and loads its dictionary afterwards.
fn plugin() -> ExitCode {
    let serve = Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"));
    let mut readiness = serve.readiness();
    serve
        .version_with(1, move |context| {
            let health = context.health.clone();
            health.set(GREETER, ServingStatus::NotServing);
            tokio::spawn(async move {
                // The socket listens and the handshake line is printed.
                if readiness.wait().await.is_ok() {
                    tokio::task::spawn_blocking(load_dictionary).await.expect("the dictionary is loaded");
                    health.set(GREETER, ServingStatus::Serving);
                }
            });
            Services::new().add(GreeterServer::new(English))
        })
        .main()
}

/// Stands for work that takes time.
fn load_dictionary() {
    std::thread::sleep(std::time::Duration::from_millis(500));
}

/// The host: waits until the greeter serves, calls it, and watches it shut down.
#[tokio::main]
async fn host() -> Result<ExitCode> {
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
    println!("plugin: {}", plugin.ping().await?);

    let request = HealthCheckRequest { service: GREETER.to_owned() };
    let mut watch = HealthClient::new(plugin.channel()).watch(request).await.into_diagnostic()?.into_inner();
    while let Some(status) = next(&mut watch).await? {
        println!("greeter: {status}");
        if status == "SERVING" {
            break;
        }
    }
    let mut greeter = GreeterClient::new(plugin.channel());
    println!("{}", greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting);

    let exit = tokio::spawn(plugin.shut_down());
    while let Some(status) = next(&mut watch).await? {
        println!("greeter: {status}");
    }
    println!("the plugin {}", exit.await.into_diagnostic()?);
    Ok(ExitCode::SUCCESS)
}

/// Returns the next status, or `None` when the plugin has ended the stream.
async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Result<Option<&'static str>> {
    let status = watch.message().await.into_diagnostic()?;
    Ok(status.map(|answer| answer.status().as_str_name()))
}
