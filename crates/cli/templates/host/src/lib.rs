//! The host: launches the plugin, calls it, and shuts it down.

use std::path::PathBuf;

use miette::{Result, miette};
use rpcplugin::{Command, Host, MagicCookie};

use __snake___protocol::{COOKIE, GreetRequest, VERSION, greeter_client::GreeterClient};

/// Greets a person with a plugin.
///
/// # Errors
/// The plugin cannot be launched, or the call fails.
pub async fn greet(plugin: impl Into<PathBuf>, name: &str) -> Result<String> {
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, VERSION);
    let plugin = host.launch(Command::new(plugin)).await?;
    let mut greeter = GreeterClient::new(plugin.channel());
    let name = name.to_owned();
    let answer = greeter.greet(GreetRequest { name }).await;
    plugin.shut_down().await;
    let answer = answer.map_err(|status| miette!("the plugin refuses: {}", status.message()))?;
    Ok(answer.into_inner().greeting)
}
