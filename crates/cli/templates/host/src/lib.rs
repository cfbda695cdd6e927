//! The host's side of the protocol: how plugins are launched, and how they are called.

use miette::Result;
use rpcplugin::{Host, MagicCookie, PluginChannel, config::Loader};
use tonic::Status;

use __snake___protocol::greeter_client::GreeterClient;
use __snake___protocol::{COOKIE, GreetAllRequest, GreetRequest, Progress, VERSION};

/// The host, ready to launch plugins. The operator can change its settings by variables such as `PLUGIN_LAUNCH_TIMEOUT`.
///
/// # Errors
/// A variable has an invalid value.
pub fn host() -> Result<Host> {
    let settings = Loader::new().process_env().host()?;
    Ok(Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, VERSION).config(settings))
}

/// Greets a person.
///
/// # Errors
/// The plugin refuses the name, or has exited.
pub async fn greet(
    greeter: &mut GreeterClient<PluginChannel>,
    name: &str,
) -> Result<String, Status> {
    let name = name.to_owned();
    let request = GreetRequest { name };
    Ok(greeter.greet(request).await?.into_inner().greeting)
}

/// Greets people, and shows each greeting when it arrives. To cancel the call, drop the future.
///
/// # Errors
/// The plugin refuses a name, or has exited.
pub async fn greet_all(
    greeter: &mut GreeterClient<PluginChannel>,
    names: &[String],
    mut show: impl FnMut(Progress),
) -> Result<(), Status> {
    let names = names.to_vec();
    let request = GreetAllRequest { names };
    let mut stream = greeter.greet_all(request).await?.into_inner();
    while let Some(progress) = stream.message().await? {
        show(progress);
    }
    Ok(())
}
