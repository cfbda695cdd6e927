//! A host and a plugin whose spans and metrics go to an OpenTelemetry collector.
//!
//! ```text
//! docker run --rm -p 4317:4317 -p 16686:16686 jaegertracing/jaeger     # or any other collector
//! cargo run --example otel --features otel
//! ```
//!
//! Each of the two processes has a [`Telemetry`], which OpenTelemetry's variables configure. In the collector, one trace has
//! the work of the host, its calls, and each call as the plugin served it. Without a collector both work as before.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "the program prints for people"
)]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve, telemetry::Telemetry};
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

#[path = "kv/kv.rs"]
mod kv;

use kv::{
    Store,
    proto::{Entry, GetRequest, PutRequest, kv_client::KvClient, kv_server::KvServer},
};

/// The cookie that host and plugin share.
const COOKIE: (&str, &str) = ("OTEL_EXAMPLE_PLUGIN", "51f0-otel");

fn main() -> ExitCode {
    let started_by_host = env::var_os(COOKIE.0).is_some();
    let done = if started_by_host { plugin() } else { host() };
    done.unwrap_or_else(|report| {
        eprintln!("{report:?}");
        ExitCode::FAILURE
    })
}

/// The plugin: one line makes the telemetry, and `telemetry.serve` adds it.
fn plugin() -> Result<ExitCode> {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1)?;
    let telemetry = Telemetry::builder().service_name("otel-example-plugin").build()?;
    // The rest is sent when `telemetry` is dropped, after the plugin has served.
    Ok(telemetry.serve(Serve::new(cookie).version(1, KvServer::new(Store::new()))).main())
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    let telemetry = Telemetry::builder().service_name("otel-example-host").build()?;
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    tracing::subscriber::set_global_default(subscriber).into_diagnostic()?;

    run(&telemetry).instrument(tracing::info_span!("run")).await?;

    let sent = telemetry.shut_down().await;
    println!("{}", if sent { "the collector has received all" } else { "no collector has received it" });
    Ok(ExitCode::SUCCESS)
}

async fn run(telemetry: &Telemetry) -> Result<()> {
    let host = telemetry.host(Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1));
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;

    let mut kv = KvClient::new(plugin.channel_with(&telemetry.calls()));
    let entry = Entry { key: "greeting".to_owned(), value: "hello, collector".into() };
    kv.put(PutRequest { entry: Some(entry) }).await.into_diagnostic()?;
    let answer = kv.get(GetRequest { key: "greeting".to_owned() }).await.into_diagnostic()?;
    println!("{}", String::from_utf8_lossy(&answer.get_ref().value));
    let missing = kv.get(GetRequest { key: "farewell".to_owned() }).await;
    println!("farewell: {}", missing.err().map_or("found", |status| status.code().description()));

    println!("the plugin {}", plugin.shut_down().await);
    Ok(())
}
