//! Metadata: what a plugin is, before and after it is started, and what a host requires of it.
//!
//! ```text
//! cargo run --example metadata
//! ```
//!
//! The plugin has a name, a version and capabilities. The host reads them in the program file, starts the plugin, asks it for the
//! same, and refuses the plugin where they do not fit.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{
    Command, Host, LaunchError, MagicCookie, Plugin, Serve,
    host::ProgramFile,
    metadata::{PluginMetadata, Version, VersionReq},
    plugin_metadata,
};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{English, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("METADATA_PLUGIN", "hello");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

/// The plugin: reports what it is. Without `name` and `version` the crate's own are reported.
fn plugin() -> ExitCode {
    let metadata = plugin_metadata!(
        name = "greeter",
        version = "1.2.0",
        capabilities = ["english", "formal"],
        minimum_host = "2.0.0",
        build = { "crate" => env!("CARGO_PKG_NAME") },
    );
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, GreeterServer::new(English))
        .metadata(metadata)
        .main()
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    let program = env::current_exe().into_diagnostic()?;
    // Nothing is started yet.
    let file = ProgramFile::of(&program).into_diagnostic()?;
    if let Some(metadata) = file.embedded_metadata().into_diagnostic()? {
        println!("in the file: {}", line(&metadata));
    }

    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    let requires = |versions: &str| -> Result<Command> {
        let versions = VersionReq::parse(versions).into_diagnostic()?;
        Ok(Command::new(&program).require_version(versions).require_capability("english"))
    };
    let plugin = host.launch(requires(">=1.1, <2")?).await?;
    if let Some(metadata) = plugin.metadata().await? {
        println!("running: {}", line(metadata));
    }
    let mut greeter = GreeterClient::new(plugin.channel());
    println!("{}", greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting);
    plugin.shut_down().await;

    refused(host.launch(requires(">=2, <3")?).await);
    refused(host.launch(requires("1")?.require_capability("french")).await);
    let old = host.clone().program_version(Version::new(1, 9, 0));
    refused(old.launch(Command::new(&program)).await);
    Ok(ExitCode::SUCCESS)
}

fn line(metadata: &PluginMetadata) -> String {
    let capabilities: Vec<_> = metadata.capabilities().collect();
    format!("{metadata}, with {}", capabilities.join(" and "))
}

fn refused(launched: Result<Plugin, LaunchError>) {
    if let Err(error) = launched {
        println!("refused: {}", error.fault);
    }
}
