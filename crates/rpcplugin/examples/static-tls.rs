//! Your own certificates, over TCP: for a plugin on another machine, or with certificates of an authority.
//!
//! ```text
//! cargo run --example static-tls
//! ```
//!
//! By default each launch makes ephemeral certificates, and no configuration is needed. Here both sides have certificates of
//! their own. Each presents its certificate and accepts only certificates that its roots have signed. The plugin reads its
//! certificates from variables that its operator sets. A value can also be `file://` and a path.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

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

/// The plugin: its certificates and its transport are configured in its environment.
fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .load_config(&Loader::new().process_env())
        .version(1, GreeterServer::new(English))
        .main()
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    // In place of files from a certificate authority: one identity for each side, and each trusts the other.
    let [ours, plugins, unknown] = [Identity::generate()?, Identity::generate()?, Identity::generate()?];
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

    // Every process can connect to the port. The plugin refuses a certificate that it does not trust.
    let address = Attachment::new(plugin.endpoint().clone(), 1);
    match with_identity(&unknown, known_plugins)?.attach(address).await {
        Ok(_) => println!("an unauthorized host is accepted"),
        Err(error) => println!("an unauthorized host is refused: {}", PlainReport(&error)),
    }
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}

/// Makes a host with this identity, which accepts plugins whose certificates these roots have signed.
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
