//! The host's factories.

use rpcplugin_client::{Command, Exit, Host, LaunchError, Plugin};
use rpcplugin_config::HostConfig;
use rpcplugin_core::{MagicCookie, Versions};

/// A host and the one plugin that it starts, as pyvider's `RPCPluginClient`. Made by [`plugin_client`].
///
/// It can start its plugin any number of times: each [`start`](Self::start) is a process of its own, and never ends
/// another.
#[derive(Debug, Clone)]
pub struct PluginClient {
    host: Host,
    command: Command,
}

/// A host for the plugin that `command` starts, with everything that a host may be configured to do.
///
/// pyvider looks at the variables of the plugin's environment only (`config={"env": …}`), which are a part of the
/// [`Command`] here.
///
/// ```no_run
/// use rpcplugin::{Command, MagicCookie, config::Loader, plugin_client};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Loader::new().process_env().host()?;
/// let client = plugin_client(MagicCookie::new("KV_PLUGIN", "hello")?, 1, Command::new("./kv-plugin"), config);
/// let ((), exit) = client.with(async |plugin| println!("speaking version {}", plugin.version())).await?;
/// println!("{exit}");
/// # Ok(()) }
/// ```
pub fn plugin_client(
    cookie: MagicCookie,
    versions: impl Into<Versions>,
    command: Command,
    config: HostConfig,
) -> PluginClient {
    // A cookie that the operator set takes the place of the program's, as it does in a plugin.
    let cookie = config.magic_cookie.clone().unwrap_or(cookie);
    PluginClient { host: Host::new(cookie, versions).config(config), command }
}

/// Starts a plugin, does something with it, and shuts it down politely, whatever was done. Returns what was done and
/// how the plugin ended.
///
/// A panic within, or dropping the future, kills the plugin.
///
/// # Errors
/// [`LaunchError`] when the plugin does not start; nothing has been done then.
///
/// # Cancel safety
/// Dropping the future kills the plugin.
///
/// ```no_run
/// # use rpcplugin::{Command, Host, with_plugin};
/// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
/// let (health, exit) = with_plugin(&host, Command::new("./kv-plugin"), async |plugin| plugin.ping().await).await?;
/// println!("{}, and it ended: {exit}", health?);
/// # Ok(()) }
/// ```
pub async fn with_plugin<T>(
    host: &Host,
    command: Command,
    work: impl AsyncFnOnce(&Plugin) -> T,
) -> Result<(T, Exit), LaunchError> {
    let plugin = host.launch(command).await?;
    let done = work(&plugin).await;
    Ok((done, plugin.shut_down().await))
}

impl PluginClient {
    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Starts the plugin.
    ///
    /// # Errors
    /// As [`Host::launch`].
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn start(&self) -> Result<Plugin, LaunchError> {
        self.host.launch(self.command.clone()).await
    }

    /// Starts the plugin, does something with it and shuts it down: see [`with_plugin`].
    ///
    /// # Errors
    /// As [`Host::launch`].
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn with<T>(&self, work: impl AsyncFnOnce(&Plugin) -> T) -> Result<(T, Exit), LaunchError> {
        with_plugin(&self.host, self.command.clone(), work).await
    }
}
