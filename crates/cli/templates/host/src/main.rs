//! Greets people with a plugin: `__name__-host PLUGIN [NAME…]`.

use std::io::{IsTerminal, stderr};

use miette::{IntoDiagnostic, Result, miette};
use rpcplugin::error::plain_reports;
use rpcplugin::{Command, Plugin};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use __snake___host::{greet, greet_all, host};
use __snake___protocol::{Progress, greeter_client::GreeterClient};

#[tokio::main]
async fn main() -> Result<()> {
    plain_reports()?;
    log_to_stderr()?;
    let mut arguments = std::env::args().skip(1);
    let Some(program) = arguments.next() else {
        let usage = "__name__-host PLUGIN [NAME…]";
        return Err(miette!(help = usage, "the plugin is missing"));
    };
    let names: Vec<String> = arguments.collect();

    let plugin = host()?.launch(Command::new(program)).await?;
    let result = tokio::select! {
        result = call(&plugin, &names) => result,
        // The other branch is dropped. This cancels its call in the plugin.
        _ = tokio::signal::ctrl_c() => Err(miette!("interrupted")),
    };
    println!("the plugin {}", plugin.shut_down().await);
    result
}

async fn call(plugin: &Plugin, names: &[String]) -> Result<()> {
    let mut greeter = GreeterClient::new(plugin.channel());
    println!("{}", greet(&mut greeter, "World").await.into_diagnostic()?);
    greet_all(&mut greeter, names, show).await.into_diagnostic()
}

fn show(progress: Progress) {
    let (done, total) = (progress.done, progress.total);
    println!("{done} of {total}: {}", progress.greeting);
}

/// Shows the log of this program, and with it the events of the plugin. `RUST_LOG` filters both:
/// `RUST_LOG=warn,__name__-plugin=info`, for example.
fn log_to_stderr() -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) => text.parse::<Targets>().into_diagnostic()?,
        Err(_) => Targets::new().with_default(LevelFilter::INFO),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
    Ok(())
}
