//! Certificates of your own, over TCP: for a plugin on another machine, or where certificates come from elsewhere.
//!
//! ```text
//! cargo run --example static-tls
//! ```
//!
//! By default each launch makes one-time certificates, and nothing has to be configured. Here both sides have
//! certificates that somebody gave them: each presents its own and accepts only what its authorities vouch for. The
//! plugin reads its part from variables that its operator sets; each may also be `file://` and a path.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a program for people to look at")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{
    Command, Host, MagicCookie, Serve,
    config::{HostTls, Loader, Pem, SecretPem},
    error::PlainReport,
    host::Attachment,
    tls::Identity,
};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{English, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("STATIC_TLS_PLUGIN", "77b2-static-tls");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

/// The plugin: its certificates and its transport are no part of its code.
fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .load_config(&Loader::new().process_env())
        .version(1, GreeterServer::new(English))
        .main()
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    // In place of files from your authority: one identity for each side, each known to the other.
    let [ours, plugins, strangers] = [Identity::generate()?, Identity::generate()?, Identity::generate()?];
    let known_plugins = Pem::new(plugins.certificate_pem());

    let exported = plugins.export();
    let command = Command::new(env::current_exe().into_diagnostic()?)
        .env("PLUGIN_SERVER_TRANSPORTS", "tcp")
        .env("PLUGIN_SERVER_CERT", exported.certificates_pem())
        .env("PLUGIN_SERVER_KEY", exported.private_key_pem())
        .env("PLUGIN_CLIENT_ROOT_CERTS", ours.certificate_pem());
    let plugin = with_identity(&ours, known_plugins.clone())?.launch(command).await?;
    println!("the plugin listens on {}, mutual TLS: {}", plugin.endpoint(), plugin.security().is_mutual());
    let mut greeter = GreeterClient::new(plugin.channel());
    println!("{}", greeter.greet(named("Ada")).await.into_diagnostic()?.into_inner().greeting);

    // Anybody can reach the port. Nobody without a certificate that the plugin knows gets a word out of it.
    let address = Attachment::new(plugin.endpoint().clone(), 1);
    match with_identity(&strangers, known_plugins)?.attach(address).await {
        Ok(_) => println!("a stranger was let in"),
        Err(error) => println!("a stranger is refused: {}", PlainReport(&error)),
    }
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}

/// A host that presents this identity, and accepts plugins that these authorities vouch for.
fn with_identity(identity: &Identity, roots: Pem) -> Result<Host> {
    let exported = identity.export();
    Ok(Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1).configure(|config| {
        config.tls = HostTls::Given {
            certificate: Pem::new(exported.certificates_pem()),
            private_key: SecretPem::new(exported.private_key_pem()),
            server_roots: Some(roots),
        };
    }))
}
