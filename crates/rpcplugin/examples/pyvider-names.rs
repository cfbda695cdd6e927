//! A host and a plugin by the names that pyvider.rpcplugin gives them.
//!
//! ```text
//! cargo run --example pyvider-names
//! ```
//!
//! The functions of `rpcplugin::pyvider` are short ways to `Host` and `Serve`. `docs/migration-from-pyvider.md` shows the
//! Python code beside this code.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{
    Command, MagicCookie, Services,
    config::Loader,
    pyvider::{ServerTransport, plugin_client, plugin_protocol, plugin_server},
};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{English, GreetRequest, GreeterClient, GreeterServer};

const COOKIE: (&str, &str) = ("PYVIDER_NAMES_PLUGIN", "f01b-pyvider-names");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { plugin() } else { host() }
}

fn plugin() -> Result<ExitCode> {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1)?;
    let config = Loader::new().process_env().plugin()?;
    let protocol = plugin_protocol(1, |_context| Services::new().add(GreeterServer::new(English)));
    Ok(plugin_server(cookie, protocol, ServerTransport::Unix(None), config).main())
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1)?;
    let command = Command::new(env::current_exe().into_diagnostic()?);
    let config = Loader::new().process_env().host()?;
    let client = plugin_client(cookie, 1, command, config);
    let (answer, exit) = client
        .with(async |plugin| {
            let mut greeter = GreeterClient::new(plugin.channel());
            greeter.greet(GreetRequest { name: "Ada".to_owned() }).await
        })
        .await?;
    println!("{}", answer.into_diagnostic()?.into_inner().greeting);
    println!("the plugin {exit}");
    Ok(ExitCode::SUCCESS)
}
