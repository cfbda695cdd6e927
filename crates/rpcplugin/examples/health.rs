//! A plugin that says how it is: a service that has to warm up, and a host that watches it.
//!
//! ```text
//! cargo run --example health
//! ```
//!
//! Every plugin serves `grpc.health.v1.Health`: for itself as a whole, which is what the host asks for before a launch
//! counts as a success, and for each of its services. All begin as SERVING, the plugin may say otherwise at any time,
//! and all turn to NOT_SERVING when it begins to end.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a program for people to look at")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve, Services, ServingStatus};
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

/// The plugin: answers its host at once, and does what takes long after that.
fn plugin() -> ExitCode {
    let serve = Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"));
    let mut readiness = serve.readiness();
    serve
        .version_with(1, move |context| {
            let health = context.health.clone();
            health.set(GREETER, ServingStatus::NotServing);
            tokio::spawn(async move {
                // The socket listens and the host has been answered.
                if readiness.wait().await.is_ok() {
                    tokio::task::spawn_blocking(load_dictionary).await.expect("the dictionary is there");
                    health.set(GREETER, ServingStatus::Serving);
                }
            });
            Services::new().add(GreeterServer::new(English))
        })
        .main()
}

/// Stands for whatever takes long.
fn load_dictionary() {
    std::thread::sleep(std::time::Duration::from_millis(500));
}

/// The host: waits until the greeter serves, calls it, and sees it close.
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

/// The next status; none when the plugin has told its last.
async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Result<Option<&'static str>> {
    let status = watch.message().await.into_diagnostic()?;
    Ok(status.map(|answer| answer.status().as_str_name()))
}
