//! A plugin on another machine: the host knows its address and the root of its certificate.
//!
//! ```text
//! cargo run --example remote              # starts a second process in place of the other machine
//! cargo run --example remote -- serve     # as a service manager would run it there
//! ```
//!
//! Such a plugin has no magic cookie and prints no handshake line. It listens at the address of its configuration, serves
//! one host after another, and requires a certificate of each. It keeps running when a host disconnects.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "the program prints for people")]

use std::{
    env,
    io::{self, BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use miette::{IntoDiagnostic as _, Result, miette};
use rpcplugin::{
    Endpoint, Host, MagicCookie, Serve, Services,
    config::Loader,
    error::PlainReport,
    host::Attachment,
    plugin::ShutdownCause,
    tls::{Identity, RootCertificates, Trust},
};

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
    // Only the service manager ends this plugin, with a signal that the program must handle.
    let mut terminated = terminations().into_diagnostic()?;
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

/// The signal by which a service manager stops a program.
#[cfg(unix)]
fn terminations() -> io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
}

/// The message by which the system stops a service.
#[cfg(windows)]
fn terminations() -> io::Result<tokio::signal::windows::CtrlShutdown> {
    tokio::signal::windows::ctrl_shutdown()
}

/// Stops the plugin as a service manager does. A program that is no service manager can only kill it on Windows.
fn stop(remote: &mut Child) -> io::Result<()> {
    if cfg!(windows) {
        return remote.kill();
    }
    Command::new("kill").arg(remote.id().to_string()).status().map(drop)
}

async fn host() -> Result<()> {
    // In place of files from a certificate authority: one identity for each side, and each trusts the other.
    let [ours, plugins] = [Identity::generate()?, Identity::generate()?];
    let exported = plugins.export();
    let mut remote = Command::new(env::current_exe().into_diagnostic()?)
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
    let line = remote.stdout.take().map(BufReader::new).and_then(|stdout| stdout.lines().next());
    let address = line.ok_or_else(|| miette!("the plugin did not start"))?.into_diagnostic()?;

    let outcome = greet(&address, ours, &plugins.certificate_pem()).await;
    stop(&mut remote).into_diagnostic()?;
    println!("the service ended: {}", remote.wait().into_diagnostic()?);
    outcome
}

/// Attaches to the plugin at this address, with a certificate and without one.
async fn greet(address: &str, identity: Identity, roots: &str) -> Result<()> {
    let endpoint = Endpoint::parse("tcp", address)?;
    let trust = Trust::Roots(RootCertificates::from_pem(roots)?);
    let attachment = Attachment::new(endpoint.clone(), 1).secured(identity, trust)?.name("greeter");

    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    let plugin = host.attach(attachment).await?;
    let mut greeter = GreeterClient::new(plugin.channel());
    println!("{}", greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting);
    // Dropping an attached plugin leaves it running. `shut_down` would shut it down.
    drop(plugin);

    match host.attach(Attachment::new(endpoint, 1)).await {
        Ok(_) => println!("a host without a certificate is accepted"),
        Err(error) => {
            println!("a host without a certificate is refused");
            eprintln!("{}", PlainReport(&error));
        }
    }
    Ok(())
}
