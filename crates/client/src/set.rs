//! Several plugins that end together.

use std::{collections::BTreeMap, time::Duration};

use tokio::task::JoinSet;

use crate::{exit::Exit, plugin::Plugin, supervise::Supervised};

/// Plugins by name, which are stopped together. Dropping the set kills them all.
///
/// ```no_run
/// # use rpcplugin_client::{Command, Host, PluginSet};
/// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
/// let mut plugins = PluginSet::new();
/// plugins.insert("kv", host.launch(Command::new("./kv-plugin")).await?);
/// plugins.insert("mail", host.supervise(Command::new("./mail-plugin")).await?);
/// for (name, exit) in plugins.shut_down().await {
///     println!("{name}: {exit:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct PluginSet {
    plugins: BTreeMap<String, Managed>,
}

/// A plugin in a [`PluginSet`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Managed {
    /// One that runs once.
    Plugin(Box<Plugin>),
    /// One that is started again when it dies.
    Supervised(Box<Supervised>),
}

impl PluginSet {
    /// A set without plugins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plugin, and returns the one that had the name before.
    pub fn insert(&mut self, name: impl Into<String>, plugin: impl Into<Managed>) -> Option<Managed> {
        self.plugins.insert(name.into(), plugin.into())
    }

    /// The plugin of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Managed> {
        self.plugins.get(name)
    }

    /// Takes a plugin out of the set. It is then up to the caller to stop it.
    pub fn remove(&mut self, name: &str) -> Option<Managed> {
        self.plugins.remove(name)
    }

    /// The plugins in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Managed)> {
        self.plugins.iter().map(|(name, plugin)| (name.as_str(), plugin))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plugins.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// Stops all plugins at the same time, each as [`Plugin::shut_down`] and [`Supervised::stop`] do, and returns how
    /// they ended by name; None for a supervised plugin that was not running.
    ///
    /// One that hangs is killed after its own grace period, and makes no other wait.
    ///
    /// # Cancel safety
    /// Dropping the future kills those that have not ended yet.
    pub async fn shut_down(self) -> BTreeMap<String, Option<Exit>> {
        self.stop_all(None).await
    }

    /// As [`shut_down`](Self::shut_down), but with this grace period for each.
    ///
    /// # Cancel safety
    /// Dropping the future kills those that have not ended yet.
    pub async fn shut_down_within(self, grace: Duration) -> BTreeMap<String, Option<Exit>> {
        self.stop_all(Some(grace)).await
    }

    async fn stop_all(self, grace: Option<Duration>) -> BTreeMap<String, Option<Exit>> {
        let mut stopping = JoinSet::new();
        for (name, plugin) in self.plugins {
            stopping.spawn(async move { (name, plugin.stop(grace).await) });
        }
        stopping.join_all().await.into_iter().collect()
    }
}

impl Managed {
    async fn stop(self, grace: Option<Duration>) -> Option<Exit> {
        match (self, grace) {
            (Self::Plugin(plugin), None) => Some(plugin.shut_down().await),
            (Self::Plugin(plugin), Some(grace)) => Some(plugin.shut_down_within(grace).await),
            (Self::Supervised(supervised), None) => supervised.stop().await,
            (Self::Supervised(supervised), Some(grace)) => supervised.stop_within(grace).await,
        }
    }
}

impl From<Plugin> for Managed {
    fn from(plugin: Plugin) -> Self {
        Self::Plugin(Box::new(plugin))
    }
}

impl From<Supervised> for Managed {
    fn from(supervised: Supervised) -> Self {
        Self::Supervised(Box::new(supervised))
    }
}

impl<N: Into<String>, P: Into<Managed>> Extend<(N, P)> for PluginSet {
    fn extend<I: IntoIterator<Item = (N, P)>>(&mut self, plugins: I) {
        for (name, plugin) in plugins {
            self.insert(name, plugin);
        }
    }
}
