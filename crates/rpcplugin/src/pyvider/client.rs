//! The host by pyvider's names.

use rpcplugin_client::{Command, Exit, Host, LaunchError, Plugin};
use rpcplugin_config::HostConfig;
use rpcplugin_core::{MagicCookie, Versions};

/// A host for one plugin, like pyvider's `RPCPluginClient`. Made by [`plugin_client`].
///
/// [`start`](Self::start) can be called any number of times. Each call launches a process of its own.
#[derive(Debug, Clone)]
pub struct PluginClient {
    host: Host,
    command: Command,
}

/// Makes a host for the plugin that `command` starts.
///
/// A cookie in `config` takes precedence over `cookie`. pyvider's `config={"env": …}`, the environment of the plugin, is
/// part of the [`Command`].
///
/// ```no_run
/// use rpcplugin::{Command, MagicCookie, config::Loader, pyvider::plugin_client};
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
    let cookie = config.magic_cookie.clone().unwrap_or(cookie);
    PluginClient { host: Host::new(cookie, versions).config(config), command }
}

/// Launches a plugin, runs `work` with it and shuts the plugin down. Returns the result of `work` and the plugin's exit.
///
/// The plugin is shut down whether or not `work` returns an error. A panic in `work` kills the plugin.
///
/// # Errors
/// [`LaunchError`] when the launch fails. `work` has not run then.
///
/// # Cancel safety
/// Dropping the future kills the plugin.
///
/// ```no_run
/// # use rpcplugin::{Command, Host, pyvider::with_plugin};
/// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
/// let (health, exit) = with_plugin(&host, Command::new("./kv-plugin"), async |plugin| plugin.ping().await).await?;
/// println!("{}, and the plugin {exit}", health?);
/// # Ok(()) }
/// ```
pub async fn with_plugin<T>(
    host: &Host,
    command: Command,
    work: impl AsyncFnOnce(&Plugin) -> T,
) -> Result<(T, Exit), LaunchError> {
    let plugin = host.launch(command).await?;
    let result = work(&plugin).await;
    Ok((result, plugin.shut_down().await))
}

impl PluginClient {
    /// Returns the host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Launches the plugin.
    ///
    /// # Errors
    /// As [`Host::launch`].
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn start(&self) -> Result<Plugin, LaunchError> {
        self.host.launch(self.command.clone()).await
    }

    /// Launches the plugin, runs `work` with it and shuts the plugin down: see [`with_plugin`].
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
