//! Several instances in one plugin process: each tenant has its settings, its calls and its log records.
//!
//! ```text
//! cargo run --example instances
//! ```
//!
//! The host creates two tenants in one plugin, and calls both. The plugin's handler finds the tenant of each call. A host that
//! has no need for separate processes saves the memory and the launch of a process for each tenant, connection or device.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{
    env,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{
    Command, Host, MagicCookie, Serve,
    host::{InstanceConfiguration, InstanceError, LogRecord, Observer},
    plugin::Instances,
};
use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{GreetRequest, GreetResponse, Greeter, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("INSTANCES_EXAMPLE_PLUGIN", "7b1d-instances");

/// The settings of a tenant, which the host passes to the plugin.
#[derive(Serialize, Deserialize)]
struct Settings {
    greeting: String,
    /// Is in no log: neither side prints configurations.
    token: String,
}

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

/// A tenant in the plugin.
struct Tenant {
    settings: Settings,
    guests: AtomicU64,
}

fn plugin() -> ExitCode {
    let tenants = Instances::new(|spec| async move {
        let settings: Settings = spec.json()?;
        if settings.token.is_empty() {
            return Err(Status::unauthenticated("a tenant needs a token"));
        }
        Ok(Tenant { settings, guests: AtomicU64::new(0) })
    });
    let reception = Reception { tenants: tenants.clone() };
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, GreeterServer::new(reception))
        .instances(&tenants)
        .main()
}

/// A greeter that greets for a tenant.
struct Reception {
    tenants: Instances<Tenant>,
}

#[tonic::async_trait]
impl Greeter for Reception {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let tenant = self.tenants.of(&request)?;
        let number = tenant.guests.fetch_add(1, Relaxed) + 1;
        tracing::info!(number, "a guest has arrived");
        let greeting = format!("{}, {}!", tenant.settings.greeting, request.get_ref().name);
        Ok(Response::new(GreetResponse { greeting }))
    }
}

/// Prints the log records of the plugin.
struct Screen;

impl Observer for Screen {
    fn log(&self, LogRecord { message, fields, .. }: &LogRecord) {
        println!("log: {message} {fields:?}");
    }
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1).observe(Screen);
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;

    let settings = |greeting: &str| {
        InstanceConfiguration::json(&Settings { greeting: greeting.to_owned(), token: "s3cr3t".to_owned() })
    };
    let acme = plugin.create_instance("tenants/acme", settings("Hello")?).await?;
    let bistro = plugin.create_instance("tenants/bistro", settings("Bonjour")?).await?;
    for tenant in [&acme, &bistro] {
        let mut greeter = GreeterClient::new(tenant.channel());
        let greeting = greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting;
        println!("{}: {greeting}", tenant.id());
    }

    let refused = InstanceConfiguration::json(&Settings { greeting: "Hi".to_owned(), token: String::new() })?;
    match plugin.create_instance("tenants/none", refused).await {
        Err(InstanceError::Refused { id, source }) => println!("{id} is refused: {}", source.message()),
        other => println!("unexpected: {other:?}"),
    }

    acme.remove().await?;
    let left = plugin.instances().await?;
    println!("after the removal of {}: {left:?}", acme.id());
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}
