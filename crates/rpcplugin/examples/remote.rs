//! A plugin that somebody else started, on another machine say: a host that knows its address and its authority.
//!
//! ```text
//! cargo run --example remote              # starts a second process of itself, in place of the other machine
//! cargo run --example remote -- serve     # what a service manager would run there
//! ```
//!
//! Such a plugin has no magic cookie and prints no handshake line. It listens where its configuration says, serves one
//! host after the other, and requires a certificate of each. A host that goes away leaves it alone.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program for people to look at")]

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use miette::{IntoDiagnostic as _, Result, miette};
use rpcplugin::{
    Attachment, Endpoint, Host, MagicCookie, PlainReport, Serve, Services, ShutdownCause,
    config::Loader,
    mtls::{Identity, RootCertificates, Trust},
};
use tokio::signal::unix::{SignalKind, signal};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{English, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("REMOTE_PLUGIN", "8c1f-remote");

#[tokio::main]
async fn main() -> Result<()> {
    if env::args().nth(1).as_deref() == Some("serve") { plugin().await } else { host().await }
}

/// The plugin: its address and its certificates are in its environment.
async fn plugin() -> Result<()> {
    // Nobody but the service manager ends this plugin, so it is for the program to hear of that.
    let mut terminated = signal(SignalKind::terminate()).into_diagnostic()?;
    let plugin = Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1)?)
        .load_config(&Loader::new().process_env())
        .version_with(1, |context| {
            let shutdown = context.shutdown.clone();
            tokio::spawn(async move {
                terminated.recv().await;
                shutdown.begin(ShutdownCause::Signal);
            });
            Services::new().add(GreeterServer::new(English))
        })
        .attachable()
        .await?;
    println!("{}", plugin.config().endpoint.address());
    plugin.serve().await?;
    Ok(())
}

async fn host() -> Result<()> {
    // In place of files from your authority: one identity for each side, each known to the other.
    let [ours, plugins] = [Identity::generate()?, Identity::generate()?];
    let exported = plugins.export();
    let mut elsewhere = Command::new(env::current_exe().into_diagnostic()?)
        .arg("serve")
        .env("PLUGIN_SERVER_TRANSPORTS", "tcp")
        .env("PLUGIN_SERVER_HOST", "127.0.0.1")
        .env("PLUGIN_SERVER_PORT", "0")
        .env("PLUGIN_SERVER_CERT", exported.certificates_pem())
        .env("PLUGIN_SERVER_KEY", exported.private_key_pem())
        .env("PLUGIN_CLIENT_ROOT_CERTS", ours.certificate_pem())
        .stdout(Stdio::piped())
        .spawn()
        .into_diagnostic()?;
    let told = elsewhere.stdout.take().map(BufReader::new).and_then(|stdout| stdout.lines().next());
    let address = told.ok_or_else(|| miette!("the plugin did not start"))?.into_diagnostic()?;

    let outcome = greet(&address, ours, &plugins.certificate_pem()).await;
    // What a service manager does to stop it.
    Command::new("kill").arg(elsewhere.id().to_string()).status().into_diagnostic()?;
    println!("the service ended: {}", elsewhere.wait().into_diagnostic()?);
    outcome
}

/// Attaches to the plugin at this address, twice: with what it asks for, and with nothing.
async fn greet(address: &str, identity: Identity, authorities: &str) -> Result<()> {
    let endpoint = Endpoint::parse("tcp", address)?;
    let trust = Trust::Roots(RootCertificates::from_pem(authorities)?);
    let attachment = Attachment::new(endpoint.clone(), 1).secured(identity, trust)?.name("greeter");

    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    let plugin = host.attach(attachment).await?;
    let mut greeter = GreeterClient::new(plugin.channel());
    println!("{}", greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting);
    // Dropping a plugin that was attached to leaves it running. `shut_down` would end it.
    drop(plugin);

    match host.attach(Attachment::new(endpoint, 1)).await {
        Ok(_) => println!("it serves hosts without certificates"),
        Err(error) => {
            println!("without a certificate nobody is let in");
            eprintln!("{}", PlainReport(&error));
        }
    }
    Ok(())
}
